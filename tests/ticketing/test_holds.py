"""Holds: set aside, confirmed, released, run out; beside everybody else who wants the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    HoldExpiredError,
    InvalidRsvpError,
    NotFoundError,
    RetryableError,
    SaleClosedError,
    SoldOutError,
    cancel_rsvp,
    confirm_hold,
    create_hold,
    expire_holds,
    increment_ticket_quantity,
    list_rsvps,
    release_hold,
)
from tests.ticketing.shop import (
    all_of,
    beside,
    books,
    buy,
    code_of,
    confirm,
    hold,
    on_sale,
    people,
    run_out,
    wait,
)

if TYPE_CHECKING:
    import asyncpg

    from tests.ticketing.shop import Opening, UntilBlocked


async def test_held_is_neither_sold_nor_available(connection: asyncpg.Connection) -> None:
    """A hold takes a ticket and writes it down with the time it has; nothing is sold by it."""
    ticket = await on_sale(connection, 3)
    before = datetime.now(UTC)
    made = await hold(connection, ticket, "ann", seconds=60)
    assert made.remaining == 2
    assert (made.hold.status, made.hold.user_id, made.hold.ticket_id) == ("held", "ann", ticket.id)
    assert timedelta(seconds=60) <= made.hold.expires_at - before < timedelta(seconds=120)
    assert await books(connection, ticket) == {"available": 2, "held": 1}
    assert await list_rsvps(connection, ticket.event_id) == []
    assert await connection.fetch("select * from oversold_tickets") == []


async def test_confirmed_is_an_rsvp(connection: asyncpg.Connection) -> None:
    """A confirmed hold is an RSVP under the same id, with what was given and the price of the hold."""
    ticket = await on_sale(connection, 1)
    held = (await hold(connection, ticket, "ann")).hold
    await connection.execute("update tickets set price = 99")
    made = await confirm_hold(
        connection, held.id, name="Ann", email="ann@example.com", payment_proof_url="/proofs/1"
    )
    assert made.remaining == 0
    assert made.rsvp.id == held.id
    assert (made.rsvp.name, made.rsvp.email, made.rsvp.payment_proof_url) == (
        "Ann",
        "ann@example.com",
        "/proofs/1",
    )
    assert made.rsvp.price_paid == ticket.price
    assert await list_rsvps(connection, ticket.event_id) == [made.rsvp]
    assert await books(connection, ticket) == {"sold": 1}


async def test_confirmed_again(connection: asyncpg.Connection) -> None:
    """Who asks again, because the answer was lost, gets the same answer, until the RSVP is cancelled."""
    ticket = await on_sale(connection, 2)
    held = (await hold(connection, ticket, "ann")).hold
    first = await confirm(connection, held.id)
    assert await confirm(connection, held.id) == first
    await run_out(connection, held.id)
    assert await confirm(connection, held.id) == first
    await cancel_rsvp(connection, first.rsvp.id)
    with pytest.raises(InvalidRsvpError, match="was cancelled"):
        await confirm(connection, held.id)
    assert await books(connection, ticket) == {"available": 2}


async def test_released(connection: asyncpg.Connection) -> None:
    """A released hold gives its ticket back once, frees the person's place, and cannot be confirmed."""
    ticket = await on_sale(connection, 2)
    held = (await hold(connection, ticket, "ann")).hold
    for _ in range(2):
        assert (await release_hold(connection, held.id)).status == "released"
        assert await books(connection, ticket) == {"available": 2}
    with pytest.raises(InvalidRsvpError, match="was released"):
        await confirm(connection, held.id)
    assert (await buy(connection, ticket, "ann")).rsvp.id != held.id
    assert await books(connection, ticket) == {"available": 1, "sold": 1}


async def test_confirmed_cannot_be_released(connection: asyncpg.Connection) -> None:
    """What was confirmed is released by cancelling, not by giving up the hold that it was."""
    ticket = await on_sale(connection, 1)
    held = (await hold(connection, ticket, "ann")).hold
    await confirm(connection, held.id)
    with pytest.raises(InvalidRsvpError, match="cancel the RSVP instead"):
        await release_hold(connection, held.id)
    assert await books(connection, ticket) == {"sold": 1}


async def test_run_out(connection: asyncpg.Connection) -> None:
    """A hold that has run out is not confirmed, swept or not, keeps its ticket until then, expires once."""
    ticket = await on_sale(connection, 1)
    held = (await hold(connection, ticket, "ann")).hold
    await run_out(connection, held.id)
    for swept, left in ((False, {"held": 1}), (True, {"available": 1})):
        if swept:
            assert await expire_holds(connection) == 1
        with pytest.raises(HoldExpiredError):
            await confirm(connection, held.id)
        assert await books(connection, ticket) == left
    assert await expire_holds(connection) == 0
    assert (await release_hold(connection, held.id)).status == "expired"
    assert await books(connection, ticket) == {"available": 1}


async def test_not_swept_is_still_held(connection: asyncpg.Connection) -> None:
    """Until the sweeper comes, what has run out keeps its ticket and its person's place."""
    ticket = await on_sale(connection, 1)
    held = (await hold(connection, ticket, "ann")).hold
    await run_out(connection, held.id)
    assert await code_of(buy(connection, ticket, "bob")) == "sold_out"
    assert await code_of(buy(connection, ticket, "ann")) == "duplicate_rsvp"
    await expire_holds(connection)
    assert await code_of(buy(connection, ticket, "ann")) == "accepted"


async def test_sweeper_keeps_to_its_limit(connection: asyncpg.Connection) -> None:
    """At most so many are swept, those first that ran out first; what still has time is left alone."""
    ticket = await on_sale(connection, 4)
    holds = [(await hold(connection, ticket, person)).hold for person in ("ann", "bob", "cat", "dan")]
    for held in reversed(holds[:3]):
        await run_out(connection, held.id)
    assert await expire_holds(connection, 2) == 2
    assert await people(connection, ticket, "expired") == ["bob", "cat"]
    assert await expire_holds(connection) == 1
    assert await people(connection, ticket, "held") == ["dan"]
    assert await books(connection, ticket) == {"available": 3, "held": 1}
    for limit in (0, -1):
        with pytest.raises(InvalidRsvpError, match="at least 1"):
            await expire_holds(connection, limit)


async def test_one_place_for_a_person(connection: asyncpg.Connection) -> None:
    """A person has an RSVP, a hold or a place in line at an event, for whichever ticket; never two."""
    ticket = await on_sale(connection, 2)
    other = await beside(connection, ticket, 5)
    await hold(connection, ticket, "ann")
    await buy(connection, ticket, "bob")
    for person in ("ann", "bob"):
        for action in (buy, hold, wait):
            assert await code_of(action(connection, other, person)) == "duplicate_rsvp"
    with pytest.raises(DuplicateRsvpError, match="has a hold for"):
        await buy(connection, other, "ann")
    assert await books(connection, other) == {"available": 5}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": None}, "event is missing"),
        ({"ticket_id": ""}, "ticket is missing"),
        ({"user_id": " "}, "user id is missing"),
        ({"user_id": "x" * 201}, "longer than 200"),
        ({"seconds": 0}, "from 1 second"),
        ({"seconds": 86401}, "to a day"),
        ({"seconds": None}, "to a day"),
    ],
)
async def test_hold_refused(connection: asyncpg.Connection, change: dict[str, object], reason: str) -> None:
    """What cannot be held for is refused by name, and takes nothing."""
    ticket = await on_sale(connection, 1)
    values = {"event_id": ticket.event_id, "user_id": "ann", "ticket_id": ticket.id, **change}
    with pytest.raises(InvalidRsvpError, match=reason):
        await create_hold(connection, **values)  # type: ignore[arg-type]  # wrong on purpose
    assert await books(connection, ticket) == {"available": 1}


async def test_nothing_to_hold(connection: asyncpg.Connection) -> None:
    """Sold out, closed and unknown are told apart, as for an RSVP."""
    ticket = await on_sale(connection, 0)
    with pytest.raises(SoldOutError):
        await hold(connection, ticket, "ann")
    closed = await on_sale(connection, 1, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SaleClosedError):
        await hold(connection, closed, "ann")
    with pytest.raises(NotFoundError):
        await create_hold(connection, event_id=closed.event_id, user_id="ann", ticket_id=ticket.id)
    for action in (confirm, release_hold):
        with pytest.raises(NotFoundError, match="no hold"):
            await action(connection, uuid4())


async def test_an_rsvp_is_no_hold(connection: asyncpg.Connection) -> None:
    """The id of an RSVP that never was a hold confirms and releases nothing; nor is a hold an RSVP."""
    ticket = await on_sale(connection, 2)
    made = await buy(connection, ticket, "ann")
    held = await hold(connection, ticket, "bob")
    for action in (confirm, release_hold):
        with pytest.raises(NotFoundError):
            await action(connection, made.rsvp.id)
    with pytest.raises(NotFoundError):
        await cancel_rsvp(connection, held.hold.id)
    assert await books(connection, ticket) == {"sold": 1, "held": 1}


async def test_confirmation_is_looked_at(connection: asyncpg.Connection) -> None:
    """Name and email are what they must be for an RSVP."""
    ticket = await on_sale(connection, 1)
    held = (await hold(connection, ticket, "ann")).hold
    for name, email, proof, reason in (
        ("", "a@b", None, "name is missing"),
        ("Ann", "nobody", None, "not an address"),
        ("Ann", "a@b", "", "proof URL is empty"),
        ("Ann", "a@b", "x" * 2049, "longer than 2048"),
    ):
        with pytest.raises(InvalidRsvpError, match=reason):
            await confirm_hold(connection, held.id, name=name, email=email, payment_proof_url=proof)
    assert await books(connection, ticket) == {"held": 1}


async def test_a_hold_ends_with_the_sale(connection: asyncpg.Connection) -> None:
    """A hold does not outlive the deadline, so that nothing is confirmed after it."""
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    ticket = await on_sale(connection, 1, deadline)
    assert (await hold(connection, ticket, "ann")).hold.expires_at == deadline


async def test_held_cannot_be_incremented(connection: asyncpg.Connection) -> None:
    """What is held is taken: there is nothing to give back for it."""
    ticket = await on_sale(connection, 1)
    await hold(connection, ticket, "ann")
    with pytest.raises(InvalidRsvpError, match="0 available and 1 sold or held of 1"):
        await increment_ticket_quantity(connection, ticket.id)


async def test_hold_beside_rsvp(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Of a hold and an RSVP of one person at once, for two tickets, whoever commits has the place."""
    first, second = [await opening() for _ in range(2)]
    for action, rival in ((hold, buy), (buy, hold), (hold, hold), (hold, wait)):
        for decision, expected in (("commit", "duplicate_rsvp"), ("rollback", "accepted")):
            ticket = await on_sale(first, 1)
            other = await beside(first, ticket, 0 if rival is wait else 1)
            transaction = first.transaction()
            await transaction.start()
            await action(first, ticket, "ann")
            waiting = asyncio.create_task(code_of(rival(second, other, "ann")))
            await until_blocked(second)
            await getattr(transaction, decision)()
            assert await waiting == expected
            await books(first, ticket)
            await books(first, other)


async def test_last_one_held_by_many(opening: Opening) -> None:
    """Of twelve people who hold or buy the last three at once, three get one."""
    callers = [await opening() for _ in range(12)]
    for _ in range(5):
        ticket = await on_sale(callers[0], 3)
        codes = await all_of(
            *(code_of((buy, hold)[n % 2](caller, ticket, f"p{n}")) for n, caller in enumerate(callers))
        )
        assert codes == {"accepted": 3, "sold_out": 9}
        await books(callers[0], ticket)


async def test_runs_out_while_waiting_to_be_confirmed(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A confirmation that waited too long for the hold is refused: what counts is when the hold is locked."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 1)
    held = (await hold(first, ticket, "ann")).hold
    transaction = first.transaction()
    await transaction.start()
    await first.execute("select from rsvps where id = $1 for update", held.id)
    waiting = asyncio.create_task(code_of(confirm(second, held.id)))
    await until_blocked(second)
    # The time it has is over before the lock is let go of, whenever the confirmation began.
    await first.execute("update rsvps set expires_at = clock_timestamp() where id = $1", held.id)
    await transaction.commit()
    assert await waiting == "hold_expired"
    assert await books(first, ticket) == {"held": 1}


async def test_time_passes_while_waiting_to_be_confirmed(
    opening: Opening, until_blocked: UntilBlocked
) -> None:
    """The same with a clock that runs on and a row that stays as it was."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 1)
    held = (await hold(first, ticket, "ann", seconds=2)).hold
    transaction = first.transaction()
    await transaction.start()
    await first.execute("select from rsvps where id = $1 for update", held.id)
    waiting = asyncio.create_task(code_of(confirm(second, held.id)))
    await until_blocked(second)
    # Not for ordering: the time itself has to pass.
    await first.fetchval(
        "select pg_sleep(extract(epoch from $1 - clock_timestamp()) + 0.01)", held.expires_at
    )
    await transaction.rollback()
    assert await waiting == "hold_expired"
    assert await books(first, ticket) == {"held": 1}


@pytest.mark.parametrize("decision", ["commit", "rollback"])
async def test_two_ends_of_one_hold(opening: Opening, until_blocked: UntilBlocked, decision: str) -> None:
    """Confirmed and released at once, a hold has one end; the ticket is sold or given back, never both."""
    first, second = [await opening() for _ in range(2)]
    for one, other, after_commit in (
        (confirm, release_hold, "invalid"),
        (release_hold, confirm, "invalid"),
        (release_hold, release_hold, "accepted"),
        (confirm, confirm, "accepted"),
    ):
        ticket = await on_sale(first, 1)
        held = (await hold(first, ticket, "ann")).hold
        transaction = first.transaction()
        await transaction.start()
        await one(first, held.id)
        waiting = asyncio.create_task(code_of(other(second, held.id)))
        await until_blocked(second)
        await getattr(transaction, decision)()
        assert await waiting == ("accepted" if decision == "rollback" else after_commit)
        effective = other if decision == "rollback" else one
        assert await books(first, ticket) == ({"sold": 1} if effective is confirm else {"available": 1})


async def test_sweeper_beside_confirm(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A sweeper waits for who has confirmed at the last moment, and then leaves the RSVP alone."""
    buyer, sweeper = [await opening() for _ in range(2)]
    for decision, swept, left in (("commit", 0, {"sold": 1}), ("rollback", 1, {"available": 1})):
        ticket = await on_sale(buyer, 1)
        held = (await hold(buyer, ticket, "ann", seconds=2)).hold
        transaction = buyer.transaction()
        await transaction.start()
        await confirm(buyer, held.id)
        # Not for ordering: the time itself has to pass.
        await sweeper.fetchval(
            "select pg_sleep(extract(epoch from $1 - clock_timestamp()) + 0.01)", held.expires_at
        )
        sweeping = asyncio.create_task(expire_holds(sweeper))
        await until_blocked(sweeper)
        await getattr(transaction, decision)()
        assert await sweeping == swept
        assert await books(buyer, ticket) == left


async def test_sweeper_waits_for_a_release(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A hold that is released while the sweeper waits for it is given back once."""
    holder, sweeper = [await opening() for _ in range(2)]
    for decision, swept in (("commit", 0), ("rollback", 1)):
        ticket = await on_sale(holder, 1)
        held = (await hold(holder, ticket, "ann")).hold
        await run_out(holder, held.id)
        transaction = holder.transaction()
        await transaction.start()
        await release_hold(holder, held.id)
        sweeping = asyncio.create_task(expire_holds(sweeper))
        await until_blocked(sweeper)
        await getattr(transaction, decision)()
        assert await sweeping == swept
        assert await books(holder, ticket) == {"available": 1}


async def test_two_sweepers(opening: Opening) -> None:
    """Sweepers at once give each hold back once."""
    sweepers = [await opening() for _ in range(6)]
    for _ in range(5):
        ticket = await on_sale(sweepers[0], 8)
        other = await beside(sweepers[0], ticket, 8)
        for number in range(12):
            held = await hold(sweepers[0], (ticket, other)[number % 2], f"p{number}")
            await run_out(sweepers[0], held.hold.id)
        async with asyncio.timeout(60):
            swept = await asyncio.gather(*(expire_holds(sweeper) for sweeper in sweepers))
        assert sum(swept) == 12
        assert await books(sweepers[0], ticket) == await books(sweepers[0], other) == {"available": 8}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_higher_isolation(opening: Opening, until_blocked: UntilBlocked, isolation: str) -> None:
    """Under stronger isolation the second end of a hold is told to retry, and then finds it ended."""
    first, second = [await opening() for _ in range(2)]
    ticket = await on_sale(first, 1)
    held = (await hold(first, ticket, "ann")).hold
    transaction = first.transaction(isolation=isolation)
    await transaction.start()
    await confirm(first, held.id)

    async def release() -> str:
        async with second.transaction(isolation=isolation):
            return (await release_hold(second, held.id)).status

    waiting = asyncio.create_task(release())
    await until_blocked(second)
    await transaction.commit()
    with pytest.raises(RetryableError):
        await waiting
    with pytest.raises(InvalidRsvpError):
        await release()
    assert await books(first, ticket) == {"sold": 1}
