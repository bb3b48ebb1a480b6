"""What every target over the shipped ``sql/`` shares: putting stock on sale, and reading the books."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from harness.model import Books, Entry, Stock
from harness.model.ledger import Ledger, RowsTable, Standing, StockTable
from harness.postgres import connect
from harness.ticketing import create_event, create_ticket, migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import asyncpg

    from harness.model import TicketType

LEDGER = Ledger(
    stock=(
        StockTable(
            table="public.tickets",
            ticket="id",
            remaining="quantity_available",
            capacity="quantity_initial",
        ),
    ),
    rows=(
        RowsTable(
            table="public.rsvps",
            ticket="ticket_id",
            person="user_id",
            status="status",
            standing={
                "confirmed": Standing.SOLD,
                "held": Standing.HELD,
                "waiting": Standing.WAITING,
            },
            reservation="id",
            place="waiting_number",
        ),
    ),
)
"""Where the shipped tables carry their stock. What was refunded is no part of it: no refund changes it."""

# One statement, so one snapshot: the availability function is STABLE and sees what the statement sees. Of
# what was cancelled only what was refunded matters.
_BOOKS = """
    SELECT t.id AS ticket, t.quantity_initial, a.available, a.sold,
           r.id, r.user_id, r.status, r.waiting_number, f.rsvp_id IS NOT NULL AS refunded
    FROM unnest($1::bigint[]) AS e (id)
    CROSS JOIN LATERAL get_ticket_availability(e.id) AS a
    JOIN tickets t ON t.id = a.id
    LEFT JOIN (rsvps r LEFT JOIN refunds f ON f.rsvp_id = r.id)
        ON r.ticket_id = t.id AND (r.status IN ('waiting', 'held', 'confirmed') OR f.rsvp_id IS NOT NULL)
    ORDER BY t.id, r.created_at, r.id
"""
_RUN_OUT = """
    UPDATE rsvps SET expires_at = clock_timestamp() - interval '1 second'
    WHERE ticket_id = $1 AND user_id = $2 AND status = 'held'
"""


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale: the database's ids by the scenario's names."""

    events: Mapping[str, int]
    tickets: Mapping[str, str]
    event_of: Mapping[str, int]
    """The event's id by the ticket type's name."""

    def ticket_ids(self) -> Mapping[str, str]:
        """Return the scenario's names by the database's ids."""
        return {identity: name for name, identity in self.tickets.items()}


@dataclass(slots=True)
class TicketingBooks:
    """A connection of ours beside the target's own, made anew when Postgres was gone for a while."""

    _database: str
    _db: asyncpg.Connection

    async def open_sale(self, tickets: Sequence[TicketType]) -> Sale:
        """Put this stock on sale under fresh ids."""
        await self._connected()
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
        await self._connected()
        rows = await self._db.fetch(_BOOKS, list(sale.events.values()))
        names = sale.ticket_ids()
        stock: dict[str, Stock] = {}
        entries: list[Entry] = []
        holds: list[Entry] = []
        waiting: list[tuple[int, Entry]] = []
        refunds: list[Entry] = []
        for row in rows:
            ticket = names[row["ticket"]]
            stock.setdefault(
                ticket,
                Stock(
                    ticket=ticket,
                    initial=row["quantity_initial"],
                    remaining=row["available"],
                    sold=row["sold"],
                ),
            )
            if row["id"] is None:
                continue
            entry = Entry(ticket=ticket, person=row["user_id"], reservation=str(row["id"]))
            match row["status"]:
                case "confirmed":
                    entries.append(entry)
                case "held":
                    holds.append(entry)
                    stock[ticket] = replace(stock[ticket], held=stock[ticket].held + 1)
                case "waiting":
                    waiting.append((row["waiting_number"], entry))
            if row["refunded"]:
                refunds.append(entry)
        return Books(
            stock=tuple(stock.values()),
            entries=tuple(entries),
            holds=tuple(holds),
            waiting=tuple(entry for _, entry in sorted(waiting, key=lambda place: place[0])),
            refunds=tuple(refunds),
        )

    async def _connected(self) -> None:
        if self._db.is_closed():
            self._db = await connect(self._database)

    def leave(self) -> None:
        """Drop the connection."""
        self._db.terminate()


async def run_out(connection: asyncpg.Connection, ticket_id: str, person: str) -> None:
    """Move the time of what is held for a person into the past, as if they had waited so long."""
    await connection.execute(_RUN_OUT, ticket_id, person)


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
    books = TicketingBooks(database, await connect(database))
    try:
        yield books
    finally:
        books.leave()
