"""Many callers at once: nothing oversold, nothing leaked, no deadlock, the right refusal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    RetryableError,
    SaleClosedError,
    SoldOutError,
    TicketingError,
    cancel_rsvp,
    increment_ticket_quantity,
)
from tests.ticketing.shop import all_of, beside, books, buy, code_of, on_sale

if TYPE_CHECKING:
    from harness.ticketing import RsvpCreated, TicketRow
    from tests.ticketing.shop import Opening, UntilBlocked

HIGHER = ["repeatable_read", "serializable"]


async def test_twenty_for_ten(opening: Opening) -> None:
    """Of twenty people who want one of ten tickets at once, ten get one and ten are told it is sold out."""
    buyers = [await opening() for _ in range(20)]
    for _ in range(5):
        ticket = await on_sale(buyers[0], 10)
        codes = await all_of(*(code_of(buy(buyer, ticket, f"p{n}")) for n, buyer in enumerate(buyers)))
        assert codes == {"accepted": 10, "sold_out": 10}
        assert await books(buyers[0], ticket) == {"sold": 10}


async def test_same_person_many_times(opening: Opening) -> None:
    """One person asking ten times at once, for two tickets of the event, gets one RSVP."""
    buyers = [await opening() for _ in range(10)]
    for _ in range(5):
        ticket = await on_sale(buyers[0], 1)
        other = await beside(buyers[0], ticket, 1)
        codes = await all_of(
            *(code_of(buy(buyer, (ticket, other)[n % 2], "ann")) for n, buyer in enumerate(buyers))
        )
        assert codes == {"accepted": 1, "duplicate_rsvp": 9}
        left = [await books(buyers[0], each) for each in (ticket, other)]
        assert sorted(left, key=str) == [{"available": 1}, {"sold": 1}]


async def test_duplicate_waits_without_touching_the_ticket(
    opening: Opening, until_blocked: UntilBlocked
) -> None:
    """While a duplicate waits for its twin to commit, it holds no lock on the ticket that others want."""
    twin, duplicate, other = [await opening() for _ in range(3)]
    ticket = await on_sale(twin, 2)
    spare = await beside(twin, ticket, 1)
    transaction = twin.transaction()
    await transaction.start()
    await buy(twin, ticket, "ann")
    waiting = asyncio.create_task(code_of(buy(duplicate, spare, "ann")))
    await until_blocked(duplicate)
    async with other.transaction():
        await other.execute("select from tickets where id = $1 for update nowait", spare.id)
    assert (await buy(other, spare, "bob")).remaining == 0
    await transaction.commit()
    assert await waiting == "duplicate_rsvp"


async def test_twin_gets_it_when_the_first_rolls_back(opening: Opening, until_blocked: UntilBlocked) -> None:
    """The twin of a request that never committed is no duplicate: it gets the ticket."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 1)
    transaction = first.transaction()
    await transaction.start()
    await buy(first, ticket, "ann")
    waiting = asyncio.create_task(code_of(buy(second, ticket, "ann")))
    await until_blocked(second)
    await transaction.rollback()
    assert await waiting == "accepted"
    assert await books(first, ticket) == {"sold": 1}


async def test_last_ticket_while_the_first_buyer_is_undecided(
    opening: Opening, until_blocked: UntilBlocked
) -> None:
    """Who waits for the last ticket is refused only if the buyer in front commits."""
    first, second = [await opening() for _ in range(2)]
    for decision, expected in (("commit", "sold_out"), ("rollback", "accepted")):
        ticket = await on_sale(first, 1)
        transaction = first.transaction()
        await transaction.start()
        await buy(first, ticket, "ann")
        waiting = asyncio.create_task(code_of(buy(second, ticket, "bob")))
        await until_blocked(second)
        await getattr(transaction, decision)()
        assert await waiting == expected
        assert await books(first, ticket) == {"sold": 1}


async def test_deadline_passes_in_the_queue(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A buyer who came in time but waited past the deadline is refused, though the one in front gave up."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 2)
    deadline = datetime.now(UTC) + timedelta(seconds=3)
    await first.execute("update tickets set purchase_deadline = $1", deadline)
    transaction = first.transaction()
    await transaction.start()
    await buy(first, ticket, "ann")
    waiting = asyncio.create_task(code_of(buy(second, ticket, "bob")))
    await until_blocked(second)
    # Not for ordering: the time itself has to pass.
    await first.fetchval("select pg_sleep(extract(epoch from $1 - clock_timestamp()) + 0.01)", deadline)
    await transaction.rollback()
    assert await waiting == "sale_closed"
    assert await books(first, ticket) == {"available": 2}


async def test_deadline_moved_while_in_the_queue(opening: Opening, until_blocked: UntilBlocked) -> None:
    """The deadline that counts is the one on the row once it is locked, not the one seen on arrival."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 2)
    transaction = first.transaction()
    await transaction.start()
    await first.execute("update tickets set purchase_deadline = clock_timestamp()")
    waiting = asyncio.create_task(code_of(buy(second, ticket, "bob")))
    await until_blocked(second)
    await transaction.commit()
    assert await waiting == "sale_closed"
    assert await books(first, ticket) == {"available": 2}


async def test_transaction_opened_before_the_deadline(opening: Opening) -> None:
    """A transaction that began in time cannot buy after the deadline: now() is not what counts."""
    buyer, organizer = [await opening() for _ in range(2)]
    ticket = await on_sale(organizer, 1)
    async with buyer.transaction():
        await buyer.fetchval("select now()")
        await organizer.execute("update tickets set purchase_deadline = clock_timestamp()")
        assert await buyer.fetchval("select purchase_deadline > now() from tickets")
        with pytest.raises(SaleClosedError):
            await buy(buyer, ticket, "ann")


async def test_double_cancel_at_once(opening: Opening) -> None:
    """Ten cancels of one RSVP at once give one ticket back."""
    callers = [await opening() for _ in range(10)]
    ticket = await on_sale(callers[0], 3)
    await buy(callers[0], ticket, "bob")
    created = await buy(callers[0], ticket, "ann")
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(cancel_rsvp(caller, created.rsvp.id) for caller in callers))
    assert len({(answer.id, answer.status, answer.cancelled_at) for answer in answers}) == 1
    assert await books(callers[0], ticket) == {"available": 2, "sold": 1}


async def test_second_cancel_waits_for_the_first(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A cancel that waits for another one gives nothing back if that commits, and does if it does not."""
    first, second = [await opening() for _ in range(2)]
    for decision in ("commit", "rollback"):
        ticket = await on_sale(first, 3)
        created = await buy(first, ticket, "ann")
        transaction = first.transaction()
        await transaction.start()
        await cancel_rsvp(first, created.rsvp.id)
        waiting = asyncio.create_task(cancel_rsvp(second, created.rsvp.id))
        await until_blocked(second)
        await getattr(transaction, decision)()
        assert (await waiting).status == "cancelled"
        assert await books(first, ticket) == {"available": 3}


async def test_buying_again_during_a_cancel(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Until a cancel commits, its RSVP stands: who buys again is refused at once and holds up nobody."""
    canceller, buyer, other = [await opening() for _ in range(3)]
    ticket = await on_sale(canceller, 2)
    created = await buy(canceller, ticket, "ann")
    async with other.transaction():
        # Holds the ticket, so that the canceller gets the RSVP's lock and stops before the ticket's.
        await other.execute("select from tickets where id = $1 for no key update", ticket.id)
        cancelling = asyncio.create_task(cancel_rsvp(canceller, created.rsvp.id))
        await until_blocked(canceller)
        assert await code_of(buy(buyer, ticket, "ann")) == "duplicate_rsvp"
    assert (await cancelling).status == "cancelled"
    assert await code_of(buy(buyer, ticket, "ann")) == "accepted"
    assert await books(canceller, ticket) == {"available": 1, "sold": 1}


async def test_cancel_racing_with_reserve(opening: Opening) -> None:
    """Buyers and cancellers of the same people and tickets, all at once, never deadlock nor lose a ticket."""
    callers = [await opening() for _ in range(12)]

    async def churn(connection: asyncpg.Connection, number: int, tickets: list[TicketRow]) -> str:
        """Buy and cancel, in the name of a person that three others act for as well."""
        for turn in range(10):
            ticket = tickets[(number + turn) % len(tickets)]
            try:
                created = await buy(connection, ticket, f"p{number % 3}")
            except (SoldOutError, DuplicateRsvpError):
                standing = await connection.fetchval(
                    "select id from rsvps where event_id = $1 and user_id = $2 and status = 'confirmed'",
                    ticket.event_id,
                    f"p{number % 3}",
                )
                if standing is not None:
                    await cancel_rsvp(connection, standing)
            else:
                await cancel_rsvp(connection, created.rsvp.id)
        return "done"

    ticket = await on_sale(callers[0], 2)
    tickets = [ticket, await beside(callers[0], ticket, 1)]
    assert await all_of(*(churn(caller, n, tickets) for n, caller in enumerate(callers))) == {"done": 12}
    assert await callers[0].fetch("select * from oversold_tickets") == []
    assert await callers[0].fetchval("select count(*) from rsvps where status = 'cancelled'") > 0


async def test_increment_waits_for_a_buyer(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A purchase in the queue is counted before anything is given back."""
    buyer, service = [await opening() for _ in range(2)]
    ticket = await on_sale(buyer, 2)
    transaction = buyer.transaction()
    await transaction.start()
    await buy(buyer, ticket, "ann")
    giving = asyncio.create_task(increment_ticket_quantity(service, ticket.id))
    await until_blocked(service)
    await transaction.commit()
    with pytest.raises(TicketingError, match="1 available and 1 sold or held of 2"):
        await giving
    assert await books(buyer, ticket) == {"available": 1, "sold": 1}


async def test_insert_locks_no_ticket(opening: Opening) -> None:
    """The foreign key is checked at commit: an RSVP just inserted holds no lock on the hot row."""
    buyer, other = [await opening() for _ in range(2)]
    ticket = await on_sale(buyer, 1)
    async with buyer.transaction():
        await buyer.execute(
            "insert into rsvps (event_id, ticket_id, user_id, name, email) values ($1, $2, 'a', 'a', 'a@b')",
            ticket.event_id,
            ticket.id,
        )
        assert await other.fetchval("select id from tickets for update nowait") == ticket.id


@pytest.mark.parametrize("isolation", HIGHER)
async def test_higher_isolation_raises(opening: Opening, until_blocked: UntilBlocked, isolation: str) -> None:
    """Under stronger isolation a buyer who waited for another is told to retry; nothing is swallowed."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 2)
    for person in ("bob", "ann"):
        transaction = first.transaction(isolation=isolation)
        await transaction.start()
        await buy(first, ticket, person)

        async def buy_ann() -> RsvpCreated:
            async with second.transaction(isolation=isolation):
                return await buy(second, ticket, "ann")

        waiting = asyncio.create_task(buy_ann())
        await until_blocked(second)
        await transaction.commit()
        with pytest.raises(RetryableError) as caught:
            await waiting
        assert isinstance(caught.value.__cause__, asyncpg.SerializationError)
    assert await books(first, ticket) == {"sold": 2}


@pytest.mark.parametrize("isolation", HIGHER)
async def test_higher_isolation_double_cancel(
    opening: Opening, until_blocked: UntilBlocked, isolation: str
) -> None:
    """Under stronger isolation the second of two cancels at once is told to retry, and then gives nothing."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 2)
    created = await buy(first, ticket, "ann")
    transaction = first.transaction(isolation=isolation)
    await transaction.start()
    await cancel_rsvp(first, created.rsvp.id)

    async def cancel() -> str:
        async with second.transaction(isolation=isolation):
            return (await cancel_rsvp(second, created.rsvp.id)).status

    waiting = asyncio.create_task(cancel())
    await until_blocked(second)
    await transaction.commit()
    with pytest.raises(RetryableError):
        await waiting
    assert await cancel() == "cancelled"
    assert await books(first, ticket) == {"available": 2}


@pytest.mark.parametrize("isolation", HIGHER)
async def test_higher_isolation_rush(opening: Opening, isolation: str) -> None:
    """Buyers who run again whenever told to sell exactly what there is, under stronger isolation too."""
    buyers = [await opening() for _ in range(8)]
    ticket = await on_sale(buyers[0], 4)

    async def insist(connection: asyncpg.Connection, person: str) -> str:
        while True:
            try:
                async with connection.transaction(isolation=isolation):
                    await buy(connection, ticket, person)
            except RetryableError:
                continue
            except asyncpg.SerializationError:
                continue  # raised by COMMIT itself
            except SoldOutError:
                return "sold_out"
            return "accepted"

    codes = await all_of(*(insist(buyer, f"p{n}") for n, buyer in enumerate(buyers)))
    assert codes == {"accepted": 4, "sold_out": 4}
    assert await books(buyers[0], ticket) == {"sold": 4}
