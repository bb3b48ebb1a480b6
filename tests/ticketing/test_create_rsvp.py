"""create_rsvp and cancel_rsvp, one caller at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    InvalidRsvpError,
    NotFoundError,
    SaleClosedError,
    SoldOutError,
    cancel_rsvp,
    create_event,
    create_ticket,
    decrement_ticket_quantity,
    get_ticket_availability,
    increment_ticket_quantity,
    list_rsvps,
)
from tests.ticketing.shop import books, buy, on_sale


async def test_takes_one_and_writes_it_down(connection: asyncpg.Connection) -> None:
    """An accepted RSVP is in the books with what was given, and one ticket fewer is left."""
    ticket = await on_sale(connection, 3)
    created = await buy(connection, ticket, "ann", payment_proof_url="/api/payment-proofs/1")
    assert created.remaining == 2
    assert created.rsvp.status == "confirmed"
    assert created.rsvp.payment_proof_url == "/api/payment-proofs/1"
    assert await list_rsvps(connection, ticket.event_id) == [created.rsvp]
    assert await books(connection, ticket) == {"available": 2, "sold": 1}


async def test_sold_out(connection: asyncpg.Connection) -> None:
    """Who comes after the last ticket is told so and leaves nothing behind."""
    ticket = await on_sale(connection, 1)
    await buy(connection, ticket, "ann")
    with pytest.raises(SoldOutError, match="sold out"):
        await buy(connection, ticket, "bob")
    assert await books(connection, ticket) == {"sold": 1}


async def test_duplicate_is_not_called_sold_out(connection: asyncpg.Connection) -> None:
    """The owner of the last ticket who asks again is a duplicate, also for another ticket of the event."""
    ticket = await on_sale(connection, 1)
    other = await create_ticket(connection, ticket.event_id, "Empty", 10, 0)
    await buy(connection, ticket, "ann")
    for again in (ticket, other):
        with pytest.raises(DuplicateRsvpError):
            await buy(connection, again, "ann")
    assert await books(connection, ticket) == {"sold": 1}


async def test_duplicate_after_the_deadline(connection: asyncpg.Connection) -> None:
    """Having an RSVP is said before the end of the sale."""
    ticket = await on_sale(connection, 2)
    await buy(connection, ticket, "ann")
    await connection.execute("update tickets set purchase_deadline = now()")
    with pytest.raises(DuplicateRsvpError):
        await buy(connection, ticket, "ann")


async def test_deadline(connection: asyncpg.Connection) -> None:
    """Nothing is sold at or after the deadline, and a deadline ahead is no hindrance."""
    closed = await on_sale(connection, 1, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SaleClosedError):
        await buy(connection, closed, "ann")
    assert await books(connection, closed) == {"available": 1}
    open_ = await on_sale(connection, 1, datetime.now(UTC) + timedelta(hours=1))
    assert (await buy(connection, open_, "ann")).remaining == 0


async def test_ticket_of_another_event(connection: asyncpg.Connection) -> None:
    """A ticket is sold for its own event only, and an unknown one not at all."""
    ticket, other = await on_sale(connection, 1), await on_sale(connection, 1)
    for wrong in ({"event_id": other.event_id}, {"ticket_id": "nothing"}, {"event_id": 0}):
        with pytest.raises(NotFoundError):
            await buy(connection, ticket, "ann", **wrong)
    assert await books(connection, ticket) == {"available": 1}


async def test_ticket_of_another_event_cannot_be_written_down(connection: asyncpg.Connection) -> None:
    """Whoever writes past the functions meets the foreign key when committing."""
    ticket, other = await on_sale(connection, 1), await on_sale(connection, 1)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(
            "insert into rsvps (event_id, ticket_id, user_id, name, email) values ($1, $2, 'a', 'a', 'a@b')",
            other.event_id,
            ticket.id,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": " "},
        {"user_id": "x" * 201},
        {"user_id": "nul\0"},
        {"name": ""},
        {"name": "x" * 201},
        {"email": "nobody"},
        {"email": "two words@example.com"},
        {"email": "x" * 320 + "@example.com"},
        {"ticket_id": ""},
        {"ticket_id": None},
        {"event_id": None},
        {"event_id": 2**63},
        {"user_id": "\ud800"},
        {"payment_proof_url": ""},
        {"payment_proof_url": "x" * 2049},
    ],
    ids=lambda wrong: "-".join(f"{key}={str(value)[:9]!a}" for key, value in wrong.items()),
)
async def test_bad_values(connection: asyncpg.Connection, wrong: dict[str, Any]) -> None:
    """A value that cannot be is refused as invalid, with words, before anything is taken."""
    ticket = await on_sale(connection, 1)
    with pytest.raises(InvalidRsvpError, match=r"\w+ .*\."):
        await buy(connection, ticket, "ann", **wrong)
    assert await books(connection, ticket) == {"available": 1}


async def test_cancel_gives_back_once(connection: asyncpg.Connection) -> None:
    """The second cancel gets the same answer and gives nothing back."""
    ticket = await on_sale(connection, 2)
    created = await buy(connection, ticket, "ann")
    await buy(connection, ticket, "bob")
    first = await cancel_rsvp(connection, created.rsvp.id)
    assert (first.status, first.id) == ("cancelled", created.rsvp.id)
    assert await cancel_rsvp(connection, created.rsvp.id) == first
    assert await books(connection, ticket) == {"available": 1, "sold": 1}


async def test_cancelled_person_may_return(connection: asyncpg.Connection) -> None:
    """A cancelled RSVP no longer stands in the way, and cancelling it again does not touch the new one."""
    ticket = await on_sale(connection, 1)
    old = await buy(connection, ticket, "ann")
    await cancel_rsvp(connection, old.rsvp.id)
    new = await buy(connection, ticket, "ann")
    await cancel_rsvp(connection, old.rsvp.id)
    assert await list_rsvps(connection, ticket.event_id) == [new.rsvp]
    assert await books(connection, ticket) == {"sold": 1}


async def test_cancel_unknown(connection: asyncpg.Connection) -> None:
    """An RSVP that never was cannot be cancelled."""
    with pytest.raises(NotFoundError):
        await cancel_rsvp(connection, uuid4())


async def test_cancel_shows_broken_books(connection: asyncpg.Connection) -> None:
    """A credit beyond the initial quantity is an error of the constraint, not a polite answer."""
    ticket = await on_sale(connection, 1)
    created = await buy(connection, ticket, "ann")
    await connection.execute("update tickets set quantity_available = 1")
    with pytest.raises(asyncpg.CheckViolationError, match="tickets_available_at_most_initial"):
        await cancel_rsvp(connection, created.rsvp.id)
    assert [row.status for row in await list_rsvps(connection, ticket.event_id)] == ["confirmed"]


async def test_decrement(connection: asyncpg.Connection) -> None:
    """Each call takes one and returns the ticket; then it is sold out; an unknown one is not found."""
    ticket = await on_sale(connection, 2)
    left = [(await decrement_ticket_quantity(connection, ticket.id)).quantity_available for _ in range(2)]
    assert left == [1, 0]
    with pytest.raises(SoldOutError):
        await decrement_ticket_quantity(connection, ticket.id)
    with pytest.raises(NotFoundError):
        await decrement_ticket_quantity(connection, "nothing")


async def test_increment_gives_back_what_was_taken(connection: asyncpg.Connection) -> None:
    """A decrement without an RSVP can be taken back, once, and never above the initial quantity."""
    ticket = await on_sale(connection, 2)
    await decrement_ticket_quantity(connection, ticket.id)
    given = await increment_ticket_quantity(connection, ticket.id)
    assert replace(given, notice_number=ticket.notice_number) == ticket
    with pytest.raises(InvalidRsvpError, match="2 available and 0 sold or held of 2"):
        await increment_ticket_quantity(connection, ticket.id)
    with pytest.raises(NotFoundError):
        await increment_ticket_quantity(connection, "nothing")


async def test_increment_prints_no_tickets(connection: asyncpg.Connection) -> None:
    """A ticket that a standing RSVP holds cannot be given back, however far below initial the counter is."""
    ticket = await on_sale(connection, 2)
    await buy(connection, ticket, "ann")
    with pytest.raises(InvalidRsvpError, match="1 available and 1 sold or held of 2"):
        await increment_ticket_quantity(connection, ticket.id)


async def test_availability(connection: asyncpg.Connection) -> None:
    """One row for each ticket of the event, in the order of names; none for an unknown event."""
    deadline = datetime.now(UTC) + timedelta(days=1)
    ticket = await on_sale(connection, 2, deadline)
    await create_ticket(connection, ticket.event_id, "Early", 5, 7)
    await on_sale(connection, 9)
    await buy(connection, ticket, "ann")
    rows = await get_ticket_availability(connection, ticket.event_id)
    assert [(row.name, row.price, row.available, row.sold, row.deadline) for row in rows] == [
        ("Early", Decimal(5), 7, 0, None),
        ("Standard", Decimal(10), 1, 1, deadline),
    ]
    assert await get_ticket_availability(connection, 0) == []


async def test_organizer_mistakes(connection: asyncpg.Connection) -> None:
    """Stock that cannot be is refused, and so is a ticket of no event."""
    event = await create_event(connection, "Concert")
    with pytest.raises(InvalidRsvpError):
        await create_event(connection, " ")
    for price, quantity in ((-1, 1), (1, -1)):
        with pytest.raises(InvalidRsvpError):
            await create_ticket(connection, event.id, "Standard", price, quantity)
    with pytest.raises(NotFoundError):
        await create_ticket(connection, 0, "Standard", 1, 1)


@pytest.mark.parametrize("available", [-1, 3])
async def test_counter_stays_within_bounds(connection: asyncpg.Connection, available: int) -> None:
    """Not even its owner can write a counter below nothing or above the initial quantity."""
    await on_sale(connection, 2)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("update tickets set quantity_available = $1", available)
