"""The monitoring view fires; the query published with the story does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.ticketing import cancel_rsvp, decrement_ticket_quantity
from tests.ticketing.shop import buy, on_sale

if TYPE_CHECKING:
    import asyncpg

    from harness.ticketing import TicketRow

PUBLISHED = """
select t.name, t.quantity_available, count(r.id) as rsvps_count,
       (count(r.id) - (t.quantity_available + count(r.id))) as oversold_count
  from tickets t left join rsvps r on t.id = r.ticket_id
 group by t.id, t.name, t.quantity_available
having count(r.id) > t.quantity_available + count(r.id)
"""


async def buy_without_decrement(connection: asyncpg.Connection, ticket: TicketRow, people: int) -> None:
    """Do what the story's first system did."""
    await connection.execute(
        "insert into rsvps (event_id, ticket_id, user_id, name, email)"
        " select $1, $2, 'p' || n, 'p', 'p@example.com' from generate_series(1, $3::int) as n",
        ticket.event_id,
        ticket.id,
        people,
    )


@pytest.mark.parametrize(("available", "difference"), [(10, 100), (3, 93), (0, 90)])
async def test_a_hundred_for_ten(connection: asyncpg.Connection, available: int, difference: int) -> None:
    """A hundred RSVPs for ten tickets: the published query stays silent, the view says by how many."""
    ticket = await on_sale(connection, 10)
    await buy_without_decrement(connection, ticket, 100)
    await connection.execute("update tickets set quantity_available = $1", available)
    assert await connection.fetch(PUBLISHED) == []
    (row,) = await connection.fetch("select * from oversold_tickets")
    assert dict(row) == {
        "ticket_id": ticket.id,
        "event_id": ticket.event_id,
        "name": "Standard",
        "quantity_initial": 10,
        "quantity_available": available,
        "standing": 100,
        "difference": difference,
        "problem": "oversold",
        "held": 0,
    }


async def test_published_query_needs_a_negative_counter(connection: asyncpg.Connection) -> None:
    """The published query is copied right: it fires once the counter is negative, and only then."""
    ticket = await on_sale(connection, 10)
    await connection.execute("alter table tickets drop constraint tickets_available_not_negative")
    await buy_without_decrement(connection, ticket, 100)
    assert await connection.fetch(PUBLISHED) == []
    await connection.execute("update tickets set quantity_available = -1")
    assert len(await connection.fetch(PUBLISHED)) == 1


async def test_leak(connection: asyncpg.Connection) -> None:
    """A ticket taken for which there is no RSVP is reported as leaked."""
    ticket = await on_sale(connection, 10)
    await decrement_ticket_quantity(connection, ticket.id)
    (row,) = await connection.fetch("select problem, difference from oversold_tickets")
    assert tuple(row) == ("leaked", -1)


async def test_silent_when_all_is_well(connection: asyncpg.Connection) -> None:
    """Sales, cancellations and other tickets are no reason to fire."""
    ticket = await on_sale(connection, 1)
    created = await buy(connection, ticket, "ann")
    await on_sale(connection, 0)
    assert await connection.fetch("select * from oversold_tickets") == []
    await cancel_rsvp(connection, created.rsvp.id)
    assert await connection.fetch("select * from oversold_tickets") == []
