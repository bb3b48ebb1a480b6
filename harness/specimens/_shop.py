"""The shop that specimens are built on: a plain schema, a connection for each client, and nothing else.

A specimen is the four statements it does differently. What they share is what any small ticketing system
has: a counter on the ticket type, and a row for every RSVP. There are no constraints here that would stop
a mistake; a specimen that relies on one adds it itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import asyncpg

from harness.model import (
    Answer,
    Books,
    Cancel,
    Entry,
    Feature,
    Outcome,
    ReadAvailability,
    Reserve,
    Stock,
)
from harness.postgres import connect, is_connection_lost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.model import Gate, Operation, TicketType

_SCHEMA = """
    CREATE TABLE tickets (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        name text NOT NULL,
        quantity_initial integer NOT NULL,
        quantity_available integer NOT NULL,
        closed boolean NOT NULL
    );
    CREATE TABLE rsvps (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        ticket_id bigint NOT NULL REFERENCES tickets,
        user_id text NOT NULL,
        quantity integer NOT NULL,
        status text NOT NULL DEFAULT 'confirmed'
    );
    CREATE INDEX ON rsvps (ticket_id);
    CREATE INDEX ON rsvps (event_id, user_id);
    CREATE SEQUENCE event_ids;
"""

_BOOKS = """
    SELECT t.name, t.quantity_initial, t.quantity_available,
           r.id, r.user_id, r.quantity
    FROM tickets t LEFT JOIN rsvps r ON r.ticket_id = t.id AND r.status = 'confirmed'
    WHERE t.id = ANY ($1::bigint[])
    ORDER BY t.id, r.id
"""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket type under the ids of one sale."""

    id: int
    event_id: int


@dataclass(frozen=True, slots=True)
class ShopSale:
    """One sale: the shop's ids by the scenario's names."""

    tickets: Mapping[str, Ticket]


class Shop(ABC):
    """A target made of a few statements. Subclasses say how to reserve, and may say how to cancel."""

    name: ClassVar[str]
    supports: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.RESERVE, Feature.CANCEL, Feature.AVAILABILITY, Feature.QUANTITY, Feature.DISCONNECT}
    )
    constraints: ClassVar[str] = ""
    """SQL that the specimen adds to the shop's schema."""

    @abstractmethod
    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take what is asked for, on a connection that is in no transaction."""

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Give back, once: only who turned the row gives back."""
        async with db.transaction():
            row = await db.fetchrow(
                "UPDATE rsvps SET status = 'cancelled' WHERE id = $1 AND status = 'confirmed'"
                " RETURNING ticket_id, quantity",
                int(operation.reservation or 0),
            )
            if row is None:
                return Answer(Outcome.INVALID, detail="no such RSVP")
            await db.execute(
                "UPDATE tickets SET quantity_available = quantity_available + $2 WHERE id = $1",
                ticket.id,
                row["quantity"],
            )
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)

    async def install(self, database: str) -> None:
        """Load the shop's schema, and what the specimen adds to it."""
        db = await connect(database)
        try:
            await db.execute(_SCHEMA + self.constraints)
        finally:
            await db.close()

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningShop]:  # noqa: ARG002  # writes no log
        """Open the connection that puts stock on sale and reads the books."""
        db = await connect(database)
        try:
            yield RunningShop(self, database, db)
        finally:
            db.terminate()


@dataclass(slots=True)
class RunningShop:
    """A shop connected to one database."""

    shop: Shop
    database: str
    _db: asyncpg.Connection

    async def connect(self, name: str) -> ShopClient:  # noqa: ARG002  # one connection is like another
        """Return a client with a connection of its own."""
        return ShopClient(self.shop, await connect(self.database))

    async def open_sale(self, tickets: Sequence[TicketType]) -> ShopSale:
        """Insert the ticket types under fresh ids."""
        events = {
            event: await self._db.fetchval("SELECT nextval('event_ids')")
            for event in dict.fromkeys(ticket.event for ticket in tickets)
        }
        made: dict[str, Ticket] = {}
        for ticket in tickets:
            identity = await self._db.fetchval(
                "INSERT INTO tickets (event_id, name, quantity_initial, quantity_available, closed)"
                " VALUES ($1, $2, $3, $3, $4) RETURNING id",
                events[ticket.event],
                ticket.name,
                ticket.initial,
                ticket.closed,
            )
            made[ticket.name] = Ticket(identity, events[ticket.event])
        return ShopSale(made)

    async def books(self, sale: ShopSale) -> Books:
        """Read counters and rows in one statement, so in one snapshot."""
        rows = await self._db.fetch(_BOOKS, [ticket.id for ticket in sale.tickets.values()])
        stock = {
            row["name"]: Stock(
                ticket=row["name"], initial=row["quantity_initial"], remaining=row["quantity_available"]
            )
            for row in rows
        }
        entries = tuple(
            Entry(
                ticket=row["name"],
                person=row["user_id"],
                quantity=row["quantity"],
                reservation=str(row["id"]),
            )
            for row in rows
            if row["id"] is not None
        )
        return Books(stock=tuple(stock.values()), entries=entries)


@dataclass(slots=True)
class ShopClient:
    """One buyer's connection to a shop."""

    shop: Shop
    _db: asyncpg.Connection

    async def perform(self, sale: ShopSale, operation: Operation, gate: Gate) -> Answer:
        """Do one operation; errors of the database become outcomes as an application would have it."""
        ticket = sale.tickets[operation.ticket]
        await gate()
        try:
            match operation:
                case Reserve():
                    return await self.shop.reserve(self._db, ticket, operation)
                case Cancel():
                    return await self.shop.cancel(self._db, ticket, operation)
                case ReadAvailability():
                    return await _availability(self._db, ticket)
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            return Answer(Outcome.RETRYABLE, detail=type(error).__name__)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_connection_lost(error):
                return Answer(Outcome.UNKNOWN, detail=type(error).__name__)
            raise

    async def close(self) -> None:
        """Close the connection."""
        async with asyncio.timeout(5):
            await self._db.close()

    def abandon(self) -> None:
        """Drop the connection without a word."""
        self._db.terminate()


async def _availability(db: asyncpg.Connection, ticket: Ticket) -> Answer:
    remaining = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
    return Answer(Outcome.ACCEPTED, remaining=remaining)


async def insert_rsvp(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    """Insert the RSVP; the answer names it."""
    identity = await db.fetchval(
        "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, $4) RETURNING id",
        ticket.event_id,
        ticket.id,
        operation.person,
        operation.quantity,
    )
    return Answer(Outcome.ACCEPTED, reservation=str(identity))


async def has_rsvp(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> bool:
    """Look whether the person has an RSVP for the event."""
    return bool(
        await db.fetchval(
            "SELECT EXISTS (SELECT FROM rsvps WHERE event_id = $1 AND user_id = $2 AND status = 'confirmed')",
            ticket.event_id,
            operation.person,
        )
    )


async def take(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> bool:
    """Decrement the counter if there is enough, in one statement; say whether there was."""
    taken = await db.fetchval(
        "UPDATE tickets SET quantity_available = quantity_available - $2"
        " WHERE id = $1 AND quantity_available >= $2 RETURNING id",
        ticket.id,
        operation.quantity,
    )
    return taken is not None


async def give_back(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> None:
    """Increment the counter again, whatever it says."""
    await db.execute(
        "UPDATE tickets SET quantity_available = quantity_available + $2 WHERE id = $1",
        ticket.id,
        operation.quantity,
    )


SOLD_OUT = Answer(Outcome.SOLD_OUT)
DUPLICATE = Answer(Outcome.DUPLICATE)
ONE_PER_PERSON = """
    CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id) WHERE status = 'confirmed';
"""
