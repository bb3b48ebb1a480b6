"""What every target over the shipped ``sql/`` shares: putting stock on sale, and reading the books."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.model import Books, Entry, Stock
from harness.postgres import connect
from harness.ticketing import create_event, create_ticket, migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import asyncpg

    from harness.model import TicketType

# One statement, so one snapshot: the availability function is STABLE and sees what the statement sees.
_BOOKS = """
    SELECT t.id AS ticket, t.quantity_initial, a.available, a.sold, r.id, r.user_id
    FROM unnest($1::bigint[]) AS e (id)
    CROSS JOIN LATERAL get_ticket_availability(e.id) AS a
    JOIN tickets t ON t.id = a.id
    LEFT JOIN rsvps r ON r.ticket_id = t.id AND r.status = 'confirmed'
    ORDER BY t.id, r.created_at, r.id
"""


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale: the database's ids by the scenario's names."""

    events: Mapping[str, int]
    tickets: Mapping[str, str]
    event_of: Mapping[str, int]
    """The event's id by the ticket type's name."""


@dataclass(slots=True)
class TicketingBooks:
    """A connection of ours beside the target's own."""

    _db: asyncpg.Connection

    async def open_sale(self, tickets: Sequence[TicketType]) -> Sale:
        """Put this stock on sale under fresh ids."""
        async with self._db.transaction():
            events = {
                name: (await create_event(self._db, name)).id
                for name in dict.fromkeys(ticket.event for ticket in tickets)
            }
            rows = {
                ticket.name: await create_ticket(
                    self._db,
                    events[ticket.event],
                    ticket.name,
                    10,
                    ticket.initial,
                    datetime.now(UTC) - timedelta(hours=1) if ticket.closed else None,
                )
                for ticket in tickets
            }
        return Sale(
            events=events,
            tickets={name: row.id for name, row in rows.items()},
            event_of={name: row.event_id for name, row in rows.items()},
        )

    async def books(self, sale: Sale) -> Books:
        """Read the counters, the function's own count and the rows, all of one moment."""
        rows = await self._db.fetch(_BOOKS, list(sale.events.values()))
        names = {identity: name for name, identity in sale.tickets.items()}
        stock = {
            row["ticket"]: Stock(
                ticket=names[row["ticket"]],
                initial=row["quantity_initial"],
                remaining=row["available"],
                sold=row["sold"],
            )
            for row in rows
        }
        entries = tuple(
            Entry(ticket=names[row["ticket"]], person=row["user_id"], reservation=str(row["id"]))
            for row in rows
            if row["id"] is not None
        )
        return Books(stock=tuple(stock.values()), entries=entries)


async def install(database: str) -> None:
    """Load the shipped ``sql/``."""
    db = await connect(database)
    try:
        await migrate(db)
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def ticketing_books(database: str) -> AsyncIterator[TicketingBooks]:
    """Connect for the length of a block."""
    db = await connect(database)
    try:
        yield TicketingBooks(db)
    finally:
        db.terminate()
