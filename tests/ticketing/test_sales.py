"""Sales statistics: what happened when, and what stood at the end of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from harness.ticketing import (
    InvalidRsvpError,
    NotFoundError,
    SalesRow,
    TicketRow,
    cancel_rsvp,
    change_capacity,
    get_ticket_sales,
    refund_rsvp,
)
from tests.ticketing.shop import books, buy, confirm, hold, on_sale, wait

DAY = datetime(2026, 3, 1, tzinfo=UTC)


async def sold_at(
    connection: asyncpg.Connection, ticket: TicketRow, hours: float, cancelled: float | None = None
) -> None:
    """Put an RSVP into the books that was made, and perhaps cancelled, so many hours after midnight."""
    await connection.execute(
        "insert into rsvps (event_id, ticket_id, user_id, name, email, status, created_at, cancelled_at)"
        " values ($1, $2, gen_random_uuid()::text, 'x', 'x@x', $3, $4, $5)",
        ticket.event_id,
        ticket.id,
        "confirmed" if cancelled is None else "cancelled",
        DAY + timedelta(hours=hours),
        None if cancelled is None else DAY + timedelta(hours=cancelled),
    )


def row(hours: float, sold: int, cancelled: int, standing: int) -> SalesRow:
    return SalesRow(
        bucket_start=DAY + timedelta(hours=hours), sold=sold, cancelled=cancelled, standing=standing
    )


async def test_by_the_hour(connection: asyncpg.Connection) -> None:
    """Each hour in which something happened has its row, to the edge; hours without are left out."""
    ticket = await on_sale(connection, 10)
    other = await on_sale(connection, 10)
    for hours, cancelled in ((8.0, None), (8.99, 9.5), (9.0, 12.0), (9.1, None), (12.9, None)):
        await sold_at(connection, ticket, hours, cancelled)
    await sold_at(connection, other, 8.5)
    assert await get_ticket_sales(connection, ticket.id) == [
        row(8, 2, 0, 2),
        row(9, 2, 1, 3),
        row(12, 1, 1, 3),
    ]
    assert await get_ticket_sales(connection, ticket.id, timedelta(days=1)) == [row(0, 5, 2, 3)]
    assert [each.sold for each in await get_ticket_sales(connection, ticket.id, timedelta(minutes=15))] == [
        1,
        1,
        2,
        0,
        0,
        1,
    ]


async def test_nothing_sold(connection: asyncpg.Connection) -> None:
    """Without sales there are no rows; holds and places in line are no sales."""
    ticket = await on_sale(connection, 1)
    assert await get_ticket_sales(connection, ticket.id) == []
    await hold(connection, ticket, "ann")
    await wait(connection, ticket, "bob")
    assert await get_ticket_sales(connection, ticket.id) == []


async def test_last_row_is_what_stands(connection: asyncpg.Connection) -> None:
    """However an RSVP came about or ended, the last row says what stands now."""
    ticket = await on_sale(connection, 3)
    bought = await buy(connection, ticket, "ann")
    refunded = await buy(connection, ticket, "bob")
    held = await hold(connection, ticket, "cat")
    await wait(connection, ticket, "dan")
    await confirm(connection, held.hold.id)
    await cancel_rsvp(connection, bought.rsvp.id)
    await refund_rsvp(connection, refunded.rsvp.id)
    await change_capacity(connection, ticket.id, 4)
    rows = await get_ticket_sales(connection, ticket.id, timedelta(microseconds=1))
    assert (sum(each.sold for each in rows), sum(each.cancelled for each in rows)) == (4, 2)
    assert rows[-1].standing == (await books(connection, ticket))["sold"] == 2
    assert [each.bucket_start for each in rows] == sorted({each.bucket_start for each in rows})
    assert all(each.standing >= 0 for each in rows)


async def test_what_cannot_be_asked(connection: asyncpg.Connection) -> None:
    """A bucket of no length or of months, and a ticket that is not there, are refused."""
    ticket = await on_sale(connection, 1)
    for bucket in (timedelta(0), timedelta(hours=-1)):
        with pytest.raises(InvalidRsvpError, match="longer than nothing"):
            await get_ticket_sales(connection, ticket.id, bucket)
    for interval in ("1 month", "1 year", None):
        with pytest.raises(asyncpg.PostgresError, match="longer than nothing"):
            await connection.fetch(
                "select from get_ticket_sales($1, $2::text::interval)", ticket.id, interval
            )
    with pytest.raises(NotFoundError):
        await get_ticket_sales(connection, "nothing")


async def test_time_zone_makes_no_difference(connection: asyncpg.Connection) -> None:
    """Days begin at midnight UTC, whatever the session's time zone."""
    ticket = await on_sale(connection, 2)
    await sold_at(connection, ticket, 0.5)
    await connection.execute("set time zone 'Asia/Tokyo'")
    assert await get_ticket_sales(connection, ticket.id, timedelta(days=1)) == [row(0, 1, 0, 1)]
