"""The shop that specimens are built on: a plain schema, a connection for each client, and nothing else.

A specimen is the four statements it does differently. What they share is what any small ticketing system
has: a counter on the ticket type, and a row for every RSVP. There are no constraints here that would stop
a mistake; a specimen that relies on one adds it itself. What does not concern a specimen is done rightly:
a request is looked at before it is served, and a cancel gives back once what is the person's own.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from harness.model import Answer, Cancel, Feature, Outcome, ReadAvailability, Reserve, not_offered
from harness.postgres import connect
from harness.specimens._running import SCHEMA, RunningShop, ledger_of
from harness.specimens._statements import (
    NO_SUCH_RSVP,
    ONE_PER_PERSON,
    NoneLeftError,
    Returned,
    give_back,
    insert_rsvp,
    take,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from harness.model import Operation
    from harness.model.ledger import Ledger, RowsTable
    from harness.specimens._statements import Ticket


class Shop(ABC):
    """A target made of a few statements. Subclasses say how to reserve, and may say how to do the rest."""

    name: ClassVar[str]
    supports: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.RESERVE,
            Feature.CANCEL,
            Feature.OWNERSHIP,
            Feature.AVAILABILITY,
            Feature.QUANTITY,
            Feature.DISCONNECT,
        }
    )
    through_pooler: ClassVar[str] = "statement_cache_size=0"
    """What a URL must say that leads through a pooler."""
    tables: ClassVar[str] = SCHEMA
    constraints: ClassVar[str] = ""
    """SQL that the specimen adds to the shop's schema."""
    available: ClassVar[str] = "t.quantity_available"
    """SQL for how many units of the ticket type ``t`` remain."""
    sold: ClassVar[str] = "NULL::integer"
    """SQL for the specimen's own count of what it sold of ``t``; null when it keeps none."""
    holds: ClassVar[str] = "holds"
    """SQL for the table of the holds, when it keeps any."""
    line: ClassVar[str] = "waitlist w WHERE w.ticket_id = t.id"
    """SQL for where those are found who wait for ``t``, when there is a line."""
    stock_rows: ClassVar[tuple[RowsTable, ...]] = ()
    """Rows in which is kept what remains, when there is no counter."""

    @property
    def ledger(self) -> Ledger | None:
        """Which tables carry its stock; ``None`` when they do not say all of it."""
        return ledger_of(self)

    def is_valid(self, operation: Reserve) -> bool:
        """Look at a request before anything is done for it."""
        return operation.quantity >= 1

    @contextlib.asynccontextmanager
    async def transaction(self, db: asyncpg.Connection, ticket: Ticket) -> AsyncIterator[None]:  # noqa: ARG002  # for shops that lock it
        """Begin what is to happen together or not at all."""
        async with db.transaction():
            yield

    async def handle(self, db: asyncpg.Connection, ticket: Ticket, operation: Operation) -> Answer:
        """Do one operation, on a connection that is in no transaction."""
        match operation:
            case Reserve() if not self.is_valid(operation):
                return Answer(Outcome.INVALID, detail="at least one")
            case Reserve():
                return await self.reserve(db, ticket, operation)
            case Cancel():
                return await self.cancel(db, ticket, operation)
            case ReadAvailability():
                return await self.availability(db, ticket)
            case _:
                return not_offered(operation)

    @abstractmethod
    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take what is asked for."""

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Give back, once: only who turned the row gives back, and only what is the person's own."""
        rsvp = int(operation.reservation or 0)
        async with self.transaction(db, ticket):
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
            await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again."""
        await give_back(db, returned.ticket, returned.quantity)

    async def availability(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Say how many units remain."""
        query = f"SELECT {self.available} FROM tickets t WHERE t.id = $1"  # noqa: S608  # the specimen's own SQL
        return Answer(Outcome.ACCEPTED, remaining=await db.fetchval(query, ticket.id))

    async def install(self, database: str) -> None:
        """Load the shop's schema, and what the specimen adds to it."""
        db = await connect(database)
        try:
            await db.execute(self.tables + self.constraints)
        finally:
            await db.close()

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningShop]:  # noqa: ARG002  # writes no log
        """Open the connection that puts stock on sale and reads the books."""
        async with self.equipped(database) as shop:
            running = RunningShop(shop, database, await connect(database))
            try:
                yield running
            finally:
                running.leave()

    @contextlib.asynccontextmanager
    async def equipped(self, database: str) -> AsyncIterator[Shop]:  # noqa: ARG002  # most need nothing
        """Yield the shop with what it needs beside the connections of its clients."""
        yield self


class GuardedShop(Shop):
    """A shop that sells rightly, for specimens about something else: a key and a guard say no."""

    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


class ShopOfRows(Shop):
    """A shop that keeps no counter: what remains is counted in the rows, every time."""

    available = (
        "(t.quantity_initial - (SELECT coalesce(sum(c.quantity), 0) FROM rsvps c"
        " WHERE c.ticket_id = t.id AND c.status = 'confirmed'))"
    )

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Do nothing: a cancelled row does not count."""
