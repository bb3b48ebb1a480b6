"""The shop that specimens are built on: a plain schema, a connection for each client, and nothing else.

A specimen is the four statements it does differently. What they share is what any small ticketing system
has: a counter on the ticket type, and a row for every RSVP. There are no constraints here that would stop
a mistake; a specimen that relies on one adds it itself. What does not concern a specimen is done rightly:
a request is looked at before it is served, and a cancel gives back once what is the person's own.
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
    not_offered,
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
    SELECT t.name, t.quantity_initial, {available} AS remaining, {sold} AS sold,
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


@dataclass(frozen=True, slots=True)
class Returned:
    """What a cancelled RSVP held."""

    ticket: Ticket
    rsvp: int
    quantity: int


class Shop(ABC):
    """A target made of a few statements. Subclasses say how to reserve, and may say how to cancel."""

    name: ClassVar[str]
    supports: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.RESERVE, Feature.CANCEL, Feature.AVAILABILITY, Feature.QUANTITY, Feature.DISCONNECT}
    )
    constraints: ClassVar[str] = ""
    """SQL that the specimen adds to the shop's schema."""
    available: ClassVar[str] = "t.quantity_available"
    """SQL for how many units of the ticket type ``t`` remain."""
    sold: ClassVar[str] = "NULL::integer"
    """SQL for the specimen's own count of what it sold of ``t``; null when it keeps none."""

    def is_valid(self, operation: Reserve) -> bool:
        """Look at a request before anything is done for it."""
        return operation.quantity >= 1

    @abstractmethod
    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take what is asked for, on a connection that is in no transaction."""

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Give back, once: only who turned the row gives back, and only what is the person's own."""
        rsvp = int(operation.reservation or 0)
        async with db.transaction():
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'cancelled'"
                " WHERE id = $1 AND ticket_id = $2 AND user_id = $3 AND status = 'confirmed'"
                " RETURNING quantity",
                rsvp,
                ticket.id,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await self.restock(db, Returned(ticket, rsvp, quantity))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what was cancelled on sale again."""
        await give_back(db, returned.ticket, returned.quantity)

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
        query = _BOOKS.format(available=self.shop.available, sold=self.shop.sold)
        rows = await self._db.fetch(query, [ticket.id for ticket in sale.tickets.values()])
        stock = {
            row["name"]: Stock(
                ticket=row["name"],
                initial=row["quantity_initial"],
                remaining=row["remaining"],
                sold=row["sold"],
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
                case Reserve() if not self.shop.is_valid(operation):
                    return Answer(Outcome.INVALID, detail="at least one")
                case Reserve():
                    return await self.shop.reserve(self._db, ticket, operation)
                case Cancel():
                    return await self.shop.cancel(self._db, ticket, operation)
                case ReadAvailability():
                    return await _availability(self._db, ticket, self.shop.available)
                case _:
                    return not_offered(operation)
        except NoneLeftError:
            return SOLD_OUT
        except asyncpg.UniqueViolationError:
            return DUPLICATE
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


async def _availability(db: asyncpg.Connection, ticket: Ticket, available: str) -> Answer:
    query = f"SELECT {available} FROM tickets t WHERE t.id = $1"  # noqa: S608  # the specimen's own SQL
    return Answer(Outcome.ACCEPTED, remaining=await db.fetchval(query, ticket.id))


class NoneLeftError(Exception):
    """Raised within a transaction to undo it; the buyer is told that it is sold out."""


class ShopOfRows(Shop):
    """A shop that keeps no counter: what remains is counted in the rows, every time."""

    available = (
        "(t.quantity_initial - (SELECT coalesce(sum(c.quantity), 0) FROM rsvps c"
        " WHERE c.ticket_id = t.id AND c.status = 'confirmed'))"
    )

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Do nothing: a cancelled row does not count."""


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


async def give_back(db: asyncpg.Connection, ticket: Ticket, quantity: int) -> None:
    """Increment the counter again, whatever it says."""
    await db.execute(
        "UPDATE tickets SET quantity_available = quantity_available + $2 WHERE id = $1",
        ticket.id,
        quantity,
    )


async def count_left(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Count how many units are left: what there was, less the rows that stand."""
    left: int = await db.fetchval(
        "SELECT t.quantity_initial - coalesce(sum(r.quantity), 0)"
        " FROM tickets t LEFT JOIN rsvps r ON r.ticket_id = t.id AND r.status = 'confirmed'"
        " WHERE t.id = $1 GROUP BY t.id",
        ticket.id,
    )
    return left


async def read_counter(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Read how many units are left, as the counter says, and lock nothing."""
    left: int = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
    return left


SOLD_OUT = Answer(Outcome.SOLD_OUT)
DUPLICATE = Answer(Outcome.DUPLICATE)
CLOSED = Answer(Outcome.INVALID, detail="the sale has ended")
NO_SUCH_RSVP = Answer(Outcome.INVALID, detail="no such RSVP")
ONE_PER_PERSON = """
    CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id) WHERE status = 'confirmed';
"""

SEATS = """
    CREATE TABLE seats (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ticket_id bigint NOT NULL REFERENCES tickets,
        rsvp_id bigint REFERENCES rsvps
    );
    CREATE INDEX ON seats (ticket_id, id);
    CREATE INDEX ON seats (rsvp_id);
    CREATE FUNCTION make_seats() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO seats (ticket_id) SELECT NEW.id FROM generate_series(1, NEW.quantity_initial);
        RETURN NULL;
    END $$;
    CREATE TRIGGER make_seats AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION make_seats();
"""
"""A row for every seat, made when a ticket type goes on sale; it is free while it has no RSVP."""
FREE_SEATS = "(SELECT count(*) FROM seats s WHERE s.ticket_id = t.id AND s.rsvp_id IS NULL)"


async def give_seats(db: asyncpg.Connection, answer: Answer, seats: Sequence[asyncpg.Record]) -> None:
    """Write the RSVP that was made on its seats."""
    await db.execute(
        "UPDATE seats SET rsvp_id = $1 WHERE id = ANY ($2::bigint[])",
        int(answer.reservation or 0),
        [seat["id"] for seat in seats],
    )


async def free_seats(db: asyncpg.Connection, returned: Returned) -> None:
    """Free the seats of a cancelled RSVP."""
    await db.execute("UPDATE seats SET rsvp_id = NULL WHERE rsvp_id = $1", returned.rsvp)
