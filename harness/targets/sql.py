"""The shipped ticketing functions, called directly: one database session for each buyer.

Reserve is ``create_rsvp``, cancel is ``cancel_rsvp``, availability is ``get_ticket_availability``, each an
autocommit statement of its own. The default target.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from harness.model import Answer, Cancel, Feature, Outcome, ReadAvailability, Reserve, not_offered
from harness.postgres import connect, is_connection_lost
from harness.targets import _ticketing
from harness.targets._kind import Kind
from harness.ticketing import (
    DuplicateRsvpError,
    RetryableError,
    SoldOutError,
    TicketingError,
    cancel_rsvp,
    create_rsvp,
    get_ticket_availability,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.model import Books, Gate, Operation, TicketType

_OUTCOMES: Mapping[type[TicketingError], Outcome] = {
    SoldOutError: Outcome.SOLD_OUT,
    DuplicateRsvpError: Outcome.DUPLICATE,
    RetryableError: Outcome.RETRYABLE,
}
"""Every other refusal is for good."""

_NO_TICKET = "no-such-ticket"


class SqlTarget:
    """See the module."""

    name = "sql"
    supports = frozenset(
        {Feature.RESERVE, Feature.CANCEL, Feature.AVAILABILITY, Feature.DEADLINE, Feature.DISCONNECT}
    )

    async def install(self, database: str) -> None:
        """Load the shipped ``sql/``."""
        await _ticketing.install(database)

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningSql]:  # noqa: ARG002  # no logs
        """Connect to a database that holds the functions."""
        async with _ticketing.ticketing_books(database) as books:
            yield RunningSql(database, books)


@dataclass(slots=True)
class RunningSql:
    """The functions in one database."""

    database: str
    _books: _ticketing.TicketingBooks

    async def connect(self, name: str) -> SqlClient:  # noqa: ARG002  # one session is like another
        """Return a client whose statements are prepared."""
        client = SqlClient(await connect(self.database))
        await client.warm()
        return client

    async def open_sale(self, tickets: Sequence[TicketType]) -> _ticketing.Sale:
        """Put this stock on sale."""
        return await self._books.open_sale(tickets)

    async def books(self, sale: _ticketing.Sale) -> Books:
        """Read the books."""
        return await self._books.books(sale)


@dataclass(slots=True)
class SqlClient:
    """One buyer's session."""

    _db: asyncpg.Connection

    async def warm(self) -> None:
        """Have the functions planned before anybody counts the time: reserve and cancel what is not there."""
        with contextlib.suppress(TicketingError):
            await self._reserve(0, _NO_TICKET, "nobody")
        with contextlib.suppress(TicketingError):
            await cancel_rsvp(self._db, UUID(int=0))

    async def perform(self, sale: _ticketing.Sale, operation: Operation, gate: Gate) -> Answer:
        """Call one function."""
        await gate()
        try:
            match operation:
                case Reserve():
                    return await self._reserve(
                        sale.event_of[operation.ticket], sale.tickets[operation.ticket], operation.person
                    )
                case Cancel():
                    return await self._cancel(operation)
                case ReadAvailability():
                    return await self._availability(sale, operation)
                case _:
                    return not_offered(operation)
        except TicketingError as error:
            outcome = _OUTCOMES.get(type(error), Outcome.INVALID)
            return Answer(outcome, detail=str(error))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_connection_lost(error):
                return Answer(Outcome.UNKNOWN, detail=type(error).__name__)
            raise

    async def _reserve(self, event: int, ticket: str, person: str) -> Answer:
        made = await create_rsvp(
            self._db,
            event_id=event,
            user_id=person,
            name=person,
            email=f"{person}@example.com",
            ticket_id=ticket,
        )
        return Answer(Outcome.ACCEPTED, reservation=str(made.rsvp.id), remaining=made.remaining)

    async def _cancel(self, operation: Cancel) -> Answer:
        if operation.reservation is None:
            return Answer(Outcome.INVALID, detail="nothing to cancel")
        await cancel_rsvp(self._db, UUID(operation.reservation))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)

    async def _availability(self, sale: _ticketing.Sale, operation: ReadAvailability) -> Answer:
        rows = await get_ticket_availability(self._db, sale.event_of[operation.ticket])
        available = {row.id: row.available for row in rows}
        return Answer(Outcome.ACCEPTED, remaining=available[sale.tickets[operation.ticket]])

    async def close(self) -> None:
        """Close the session."""
        async with asyncio.timeout(5):
            await self._db.close()

    def abandon(self) -> None:
        """Drop the session without a word."""
        self._db.terminate()


KIND = Kind(
    name="sql",
    usage="sql",
    doc=__doc__ or "",
    claims=lambda spec: spec == "sql",
    make=lambda _: SqlTarget(),
)
