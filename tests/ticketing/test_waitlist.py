"""The waiting list: who comes first is served first, by whatever gives back, before anybody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    InvalidRsvpError,
    NotFoundError,
    RetryableError,
    SaleClosedError,
    TicketRow,
    cancel_rsvp,
    change_capacity,
    decrement_ticket_quantity,
    expire_holds,
    increment_ticket_quantity,
    join_waitlist,
    leave_waitlist,
    refund_rsvp,
    release_hold,
)
from tests.ticketing.shop import (
    all_of,
    beside,
    books,
    buy,
    code_of,
    email,
    hold,
    on_sale,
    people,
    run_out,
    wait,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    import asyncpg

    from tests.ticketing.shop import Opening, UntilBlocked


async def sold_out(connection: asyncpg.Connection, *waiting: str) -> TicketRow:
    """Return a ticket of which the only one is Ann's, with those people in line."""
    ticket = await on_sale(connection, 1)
    await buy(connection, ticket, "ann")
    for person in waiting:
        await wait(connection, ticket, person)
    return ticket


async def standing_id(connection: asyncpg.Connection, ticket: TicketRow, person: str) -> Any:
    return await connection.fetchval(
        "select id from rsvps where ticket_id = $1 and user_id = $2 and status in ('held', 'confirmed')",
        ticket.id,
        person,
    )


async def test_position(connection: asyncpg.Connection) -> None:
    """Whoever joins is told how many are served up to and including them, each ticket's line by itself."""
    ticket = await sold_out(connection)
    other = await beside(connection, ticket, 0)
    for position, person in enumerate(("bob", "cat", "dan"), start=1):
        joined = await wait(connection, ticket, person)
        assert joined.position == position
        assert (joined.place.user_id, joined.place.ticket_id, joined.place.email) == (
            person,
            ticket.id,
            email(person),
        )
    assert (await wait(connection, other, "eve")).position == 1
    assert await books(connection, ticket) == {"sold": 1, "waiting": 3}
    assert await connection.fetch("select * from oversold_tickets") == []


async def by_cancel(connection: asyncpg.Connection, ticket: TicketRow) -> None:
    await cancel_rsvp(connection, await standing_id(connection, ticket, "ann"))


async def by_refund(connection: asyncpg.Connection, ticket: TicketRow) -> None:
    await refund_rsvp(connection, await standing_id(connection, ticket, "ann"))


async def by_capacity(connection: asyncpg.Connection, ticket: TicketRow) -> None:
    await change_capacity(connection, ticket.id, ticket.quantity_initial + 1)


async def by_release(connection: asyncpg.Connection, ticket: TicketRow) -> None:
    await release_hold(connection, await standing_id(connection, ticket, "hal"))


async def by_expiry(connection: asyncpg.Connection, ticket: TicketRow) -> None:
    await run_out(connection, await standing_id(connection, ticket, "hal"))
    assert await expire_holds(connection) == 1


@pytest.mark.parametrize("give_back", [by_cancel, by_refund, by_capacity, by_release, by_expiry])
async def test_first_come_first_served(
    connection: asyncpg.Connection, give_back: Callable[[asyncpg.Connection, TicketRow], Awaitable[None]]
) -> None:
    """Whatever gives one back serves who waits longest, under the same id, and leaves nothing to others."""
    ticket = await on_sale(connection, 2)
    await buy(connection, ticket, "ann")
    held = give_back in (by_release, by_expiry)
    await (hold if held else buy)(connection, ticket, "hal")
    joined = await wait(connection, ticket, "bob")
    await wait(connection, ticket, "cat")
    await connection.execute("update tickets set price = 12")
    await give_back(connection, ticket)
    assert await people(connection, ticket, "waiting") == ["cat"]
    assert await standing_id(connection, ticket, "bob") == joined.place.id
    served = await connection.fetchrow("select * from rsvps where user_id = 'bob'")
    assert (served["name"], served["email"], served["price_paid"]) == ("bob", email("bob"), 12)
    assert served["created_at"] > joined.place.joined_at
    assert await code_of(buy(connection, ticket, "new")) == "sold_out"
    assert "available" not in await books(connection, ticket)


async def test_increment_serves(connection: asyncpg.Connection) -> None:
    """A decrement that is taken back goes to the line as well."""
    ticket = await on_sale(connection, 1)
    await decrement_ticket_quantity(connection, ticket.id)
    await wait(connection, ticket, "bob")
    assert (await increment_ticket_quantity(connection, ticket.id)).quantity_available == 0
    assert await books(connection, ticket) == {"sold": 1}


async def test_several_at_once(connection: asyncpg.Connection) -> None:
    """More capacity than people who wait serves them all; the rest is for sale."""
    ticket = await sold_out(connection, "bob", "cat")
    assert (await change_capacity(connection, ticket.id, 5)).quantity_available == 2
    assert await people(connection, ticket, "confirmed") == ["ann", "bob", "cat"]
    assert await books(connection, ticket) == {"available": 2, "sold": 3}


async def test_another_line_is_left_alone(connection: asyncpg.Connection) -> None:
    """What comes back of one ticket does not serve who waits for another."""
    ticket = await sold_out(connection)
    other = await beside(connection, ticket, 0)
    await wait(connection, other, "bob")
    await by_cancel(connection, ticket)
    assert await books(connection, ticket) == {"available": 1}
    assert await books(connection, other) == {"waiting": 1}


async def test_not_after_the_deadline(connection: asyncpg.Connection) -> None:
    """When the sale has ended nobody is served from the line, nor may join it."""
    ticket = await sold_out(connection, "bob")
    await connection.execute("update tickets set purchase_deadline = clock_timestamp()")
    await by_cancel(connection, ticket)
    assert await books(connection, ticket) == {"available": 1, "waiting": 1}
    with pytest.raises(SaleClosedError):
        await wait(connection, ticket, "cat")
    # Whoever moves the deadline by hand has the line served like this.
    await connection.execute("update tickets set purchase_deadline = null")
    await change_capacity(connection, ticket.id, 1)
    assert await books(connection, ticket) == {"sold": 1}


async def test_leaving(connection: asyncpg.Connection) -> None:
    """Who leaves is not served, may join again at the end, and cannot leave twice."""
    ticket = await sold_out(connection, "bob", "cat")
    left = await leave_waitlist(connection, ticket.event_id, "bob")
    assert (left.user_id, left.ticket_id) == ("bob", ticket.id)
    with pytest.raises(NotFoundError, match="does not wait"):
        await leave_waitlist(connection, ticket.event_id, "bob")
    with pytest.raises(NotFoundError):
        await leave_waitlist(connection, ticket.event_id, "ann")
    with pytest.raises(NotFoundError):
        await leave_waitlist(connection, ticket.event_id, "cat", "another ticket")
    assert (await wait(connection, ticket, "bob")).position == 2
    await by_cancel(connection, ticket)
    assert await people(connection, ticket, "confirmed") == ["cat"]


async def test_joining_refused(connection: asyncpg.Connection) -> None:
    """Nobody waits twice, nor for what they have, nor for what is to be had, nor for what there is not."""
    ticket = await sold_out(connection, "bob")
    other = await beside(connection, ticket, 1)
    for person, has in (("bob", "already waits"), ("ann", "has an RSVP")):
        for each in (ticket, other):
            with pytest.raises(DuplicateRsvpError, match=has):
                await wait(connection, each, person)
    with pytest.raises(InvalidRsvpError, match="not sold out"):
        await wait(connection, other, "cat")
    await hold(connection, other, "cat")
    with pytest.raises(DuplicateRsvpError, match="has a hold"):
        await wait(connection, ticket, "cat")
    with pytest.raises(NotFoundError):
        await join_waitlist(
            connection,
            event_id=ticket.event_id,
            user_id="dan",
            name="Dan",
            email="d@x",
            ticket_id="nothing",
        )
    assert await books(connection, ticket) == {"sold": 1, "waiting": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_id": None}, "event is missing"),
        ({"ticket_id": ""}, "ticket is missing"),
        ({"user_id": ""}, "user id is missing"),
        ({"name": " "}, "name is missing"),
        ({"email": "nobody"}, "not an address"),
    ],
)
async def test_values_are_looked_at(
    connection: asyncpg.Connection, change: dict[str, Any], reason: str
) -> None:
    """Who waits gives what an RSVP needs."""
    ticket = await sold_out(connection)
    values: dict[str, Any] = {
        "event_id": ticket.event_id,
        "ticket_id": ticket.id,
        "user_id": "bob",
        "name": "Bob",
        "email": "b@x",
        **change,
    }
    with pytest.raises(InvalidRsvpError, match=reason):
        await join_waitlist(connection, **values)


async def test_who_waits_has_that_place(connection: asyncpg.Connection) -> None:
    """Who waits is told that it is sold out, and for another ticket to leave the line first."""
    ticket = await sold_out(connection, "bob")
    other = await beside(connection, ticket, 1)
    for action in (buy, hold):
        assert await code_of(action(connection, ticket, "bob")) == "sold_out"
        with pytest.raises(InvalidRsvpError, match="leave the line first"):
            await action(connection, other, "bob")
    await leave_waitlist(connection, ticket.event_id, "bob")
    await buy(connection, other, "bob")
    assert await books(connection, other) == {"sold": 1}


async def test_joining_while_one_comes_back(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who joins while the last is being cancelled finds it free if that commits, and waits if it does not."""
    canceller, joiner = [await opening() for _ in range(2)]
    for decision, expected in (("commit", "invalid"), ("rollback", "accepted")):
        ticket = await sold_out(canceller)
        transaction = canceller.transaction()
        await transaction.start()
        await by_cancel(canceller, ticket)
        joining = asyncio.create_task(code_of(wait(joiner, ticket, "bob")))
        await until_blocked(joiner)
        await getattr(transaction, decision)()
        assert await joining == expected
        left = {"available": 1} if decision == "commit" else {"sold": 1, "waiting": 1}
        assert await books(canceller, ticket) == left


async def test_one_comes_back_while_somebody_joins(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who gives back while somebody joins serves them if they commit first."""
    joiner, canceller = [await opening() for _ in range(2)]
    for decision, expected in (("commit", {"sold": 1}), ("rollback", {"available": 1})):
        ticket = await sold_out(joiner)
        transaction = joiner.transaction()
        await transaction.start()
        await wait(joiner, ticket, "bob")
        cancelling = asyncio.create_task(by_cancel(canceller, ticket))
        await until_blocked(canceller)
        await getattr(transaction, decision)()
        await cancelling
        assert await books(joiner, ticket) == expected


async def test_leaving_while_being_served(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who leaves while one comes back either has it or not, and it is never lost."""
    canceller, leaver = [await opening() for _ in range(2)]
    ticket = await sold_out(canceller, "bob")
    transaction = canceller.transaction()
    await transaction.start()
    await by_cancel(canceller, ticket)
    leaving = asyncio.create_task(code_of(leave_waitlist(leaver, ticket.event_id, "bob")))
    await until_blocked(leaver)
    await transaction.commit()
    assert await leaving == "not_found"
    assert await people(canceller, ticket, "confirmed") == ["bob"]

    ticket = await sold_out(canceller, "bob")
    transaction = leaver.transaction()
    await transaction.start()
    await leave_waitlist(leaver, ticket.event_id, "bob")
    cancelling = asyncio.create_task(by_cancel(canceller, ticket))
    await until_blocked(canceller)
    await transaction.commit()
    await cancelling
    assert await books(canceller, ticket) == {"available": 1}


async def test_nobody_slips_in(opening: Opening, until_blocked: UntilBlocked) -> None:
    """A buyer who is at the ticket when one comes back does not get what belongs to the line."""
    seller, buyer = [await opening() for _ in range(2)]
    ticket = await on_sale(seller, 1)
    async with seller.transaction():
        made = await buy(seller, ticket, "ann")
        await wait(seller, ticket, "bob")
        # Finds one available, as Ann has not committed, and waits for the ticket's lock.
        taking = asyncio.create_task(code_of(buy(buyer, ticket, "new")))
        await until_blocked(buyer)
        await cancel_rsvp(seller, made.rsvp.id)
    assert await taking == "sold_out"
    assert await people(seller, ticket, "confirmed") == ["bob"]


async def test_numbers_are_in_the_order_of_commits(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Who has committed their place has a smaller number than who gets theirs later, whoever began first."""
    first, second = [await opening() for _ in range(2)]
    ticket = await sold_out(first)
    async with first.transaction():
        await first.execute("select from tickets where id = $1 for no key update", ticket.id)
        # Cat comes to the ticket first and is kept there; Bob joins before her all the same.
        joining = asyncio.create_task(wait(second, ticket, "cat"))
        await until_blocked(second)
        assert (await wait(first, ticket, "bob")).position == 1
    assert (await joining).position == 2
    assert await people(first, ticket, "waiting") == ["bob", "cat"]


async def test_many_join_and_many_come_back(opening: Opening) -> None:
    """Joining, cancelling and buying at once: nobody waits while something is free, nothing is lost."""
    sessions = [await opening() for _ in range(9)]
    for _ in range(8):
        ticket = await on_sale(sessions[0], 3)
        ids = [(await buy(sessions[0], ticket, person)).rsvp.id for person in ("ann", "bob", "cat")]
        await all_of(
            *(code_of(cancel_rsvp(sessions[n], each)) for n, each in enumerate(ids)),
            *(code_of(wait(sessions[n], ticket, f"w{n}")) for n in range(3, 6)),
            *(code_of(buy(sessions[n], ticket, f"b{n}")) for n in range(6, 9)),
        )
        left = await books(sessions[0], ticket)
        assert not ("available" in left and "waiting" in left)


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_stale_line_under_higher_isolation(opening: Opening, isolation: str) -> None:
    """Under stronger isolation who gives back without having seen a new place in line is told to retry."""
    joiner, canceller = [await opening() for _ in range(2)]
    ticket = await sold_out(joiner)
    transaction = canceller.transaction(isolation=isolation)
    await transaction.start()
    await canceller.fetchval("select count(*) from rsvps")
    await wait(joiner, ticket, "bob")
    with pytest.raises(RetryableError):
        await by_cancel(canceller, ticket)
    await transaction.rollback()
    await by_cancel(canceller, ticket)
    assert await people(joiner, ticket, "confirmed") == ["bob"]


async def test_who_waits_cancels_nothing(connection: asyncpg.Connection) -> None:
    """A place in line is no RSVP: it is left, not cancelled nor refunded."""
    ticket = await sold_out(connection)
    joined = await wait(connection, ticket, "bob")
    for action in (cancel_rsvp, refund_rsvp):
        with pytest.raises(NotFoundError):
            await action(connection, joined.place.id)
    assert await books(connection, ticket) == {"sold": 1, "waiting": 1}


async def test_joining_needs_a_sale_that_goes_on(connection: asyncpg.Connection) -> None:
    """A ticket whose deadline has passed has no line."""
    ticket = await on_sale(connection, 0, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SaleClosedError):
        await wait(connection, ticket, "ann")
