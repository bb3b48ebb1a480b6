"""The shipped ticketing functions, called directly: one database session for each buyer.

Reserve is ``create_rsvp``, cancel is ``cancel_rsvp``, availability is ``get_ticket_availability``, and so on,
each an autocommit statement of its own. Notices are heard on a connection beside them. The default target.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg

from harness.model import (
    Answer,
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.postgres import connect, is_connection_lost
from harness.targets import _ticketing
from harness.targets._kind import Kind
from harness.ticketing import (
    CHANNEL,
    DuplicateRsvpError,
    RetryableError,
    SoldOutError,
    TicketingError,
    cancel_rsvp,
    change_capacity,
    confirm_hold,
    create_group_rsvp,
    create_hold,
    create_rsvp,
    expire_holds,
    get_ticket_availability,
    get_ticket_sales,
    join_waitlist,
    leave_waitlist,
    read_notice,
    refund_rsvp,
    release_hold,
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
_NO_ID = UUID(int=0)

_MARKS = "oversell_marks"
# What it reads beside serves where nothing was notified yet; and it shows whoever watches the statements, to
# find out which of them depend on each other, that the answer depends on what was sold before.
_SEND_MARK = "SELECT quantity_available FROM (SELECT pg_notify($1, $2)) AS sent, tickets WHERE id = $3"
_ARRIVAL_TIMEOUT = 10.0
"""Seconds for a mark to come back."""


class SqlTarget:
    """See the module."""

    name = "sql"
    supports = frozenset(Feature) - {Feature.QUANTITY, Feature.PROOF}
    ledger = _ticketing.LEDGER
    through_pooler = "statement_cache_size=0"
    starts_concurrently = True

    async def install(self, database: str) -> None:
        """Load the shipped ``sql/``."""
        await _ticketing.install(database)

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningSql]:  # noqa: ARG002  # no logs
        """Connect to a database that holds the functions."""
        async with _ticketing.ticketing_books(database) as books, _listening(database) as listener:
            yield RunningSql(database, books, listener)


@dataclass(slots=True)
class RunningSql:
    """The functions in one database."""

    database: str
    _books: _ticketing.TicketingBooks
    _listener: Listener

    async def connect(self, name: str) -> SqlClient:  # noqa: ARG002  # one session is like another
        """Return a client whose statements are prepared."""
        await self._listener.listen()
        client = SqlClient(await connect(self.database), self._listener)
        try:
            await client.warm()
        except BaseException:
            client.abandon()
            raise
        return client

    async def open_sale(self, tickets: Sequence[TicketType]) -> _ticketing.Sale:
        """Put this stock on sale."""
        return await self._books.open_sale(tickets)

    async def books(self, sale: _ticketing.Sale) -> Books:
        """Read the books."""
        return await self._books.books(sale)

    def ticket_ids(self, sale: _ticketing.Sale) -> Mapping[str, str]:
        """Return the names of the ticket types by their ids in the tables."""
        return sale.ticket_ids()


@dataclass(slots=True)
class Listener:
    """Hears the notices, and remembers the last one of each ticket."""

    _database: str
    _db: asyncpg.Connection | None = None
    _last: dict[str, int] = field(default_factory=dict)
    """What is available by the ticket's id, as told last."""
    _marks: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Begin, on a connection that does nothing else; again, if Postgres was gone meanwhile."""
        if self._db is not None and not self._db.is_closed():
            return
        self._last.clear()
        db = self._db = await connect(self._database)
        await db.add_listener(CHANNEL, self._hear_notice)
        await db.add_listener(_MARKS, self._hear_mark)

    async def remaining(self, db: asyncpg.Connection, ticket_id: str) -> int:
        """Return what the last notice said; where there was none yet, what is available.

        Postgres delivers in the order of commits. So a session sends a mark, and once that has come back
        everything has arrived that was committed before it. Any number may do so at once.
        """
        mark = uuid4().hex
        arrived = self._marks[mark] = asyncio.get_running_loop().create_future()
        try:
            available: int = await db.fetchval(_SEND_MARK, _MARKS, mark, ticket_id)
            async with asyncio.timeout(_ARRIVAL_TIMEOUT):
                await arrived
        finally:
            del self._marks[mark]
        return self._last.get(ticket_id, available)

    def leave(self) -> None:
        """Listen no longer."""
        if self._db is not None:
            self._db.terminate()

    def _hear_notice(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        notice = read_notice(str(payload))
        self._last[notice.ticket_id] = notice.available

    def _hear_mark(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        arrived = self._marks.get(str(payload))
        if arrived is not None and not arrived.done():
            arrived.set_result(None)


@contextlib.asynccontextmanager
async def _listening(database: str) -> AsyncIterator[Listener]:
    """Listen for the length of a block."""
    listener = Listener(database)
    try:
        await listener.listen()
        yield listener
    finally:
        listener.leave()


@dataclass(slots=True)
class SqlClient:
    """One buyer's session."""

    _db: asyncpg.Connection
    _listener: Listener

    async def warm(self) -> None:
        """Have the functions planned before anybody counts the time: reserve and cancel what is not there."""
        with contextlib.suppress(TicketingError):
            await self._reserve(0, _NO_TICKET, "nobody")
        with contextlib.suppress(TicketingError):
            await cancel_rsvp(self._db, _NO_ID, "nobody")

    async def perform(self, sale: _ticketing.Sale, operation: Operation, gate: Gate) -> Answer:
        """Call one function."""
        await gate()
        try:
            return await self._perform(sale, operation)
        except TicketingError as error:
            outcome = _OUTCOMES.get(type(error), Outcome.INVALID)
            return Answer(outcome, detail=str(error))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_connection_lost(error):
                return Answer(Outcome.UNKNOWN, detail=type(error).__name__)
            raise

    async def _perform(self, sale: _ticketing.Sale, operation: Operation) -> Answer:
        event = sale.event_of[operation.ticket]
        ticket = sale.tickets[operation.ticket]
        person = operation.person
        match operation:
            case Reserve():
                return await self._reserve(event, ticket, person)
            case Cancel():
                cancelled = await cancel_rsvp(self._db, _id(operation.reservation), person)
                return Answer(Outcome.ACCEPTED, reservation=str(cancelled.id))
            case ReadAvailability():
                return await self._availability(event, ticket)
            case Hold():
                held = await create_hold(self._db, event_id=event, user_id=person, ticket_id=ticket)
                return Answer(Outcome.ACCEPTED, reservation=str(held.hold.id), remaining=held.remaining)
            case Confirm():
                made = await confirm_hold(self._db, _id(operation.hold), name=person, email=_email(person))
                return Answer(Outcome.ACCEPTED, reservation=str(made.rsvp.id), remaining=made.remaining)
            case Release():
                await release_hold(self._db, _id(operation.hold))
            case Expire():
                await _ticketing.run_out(self._db, ticket, person)
                await expire_holds(self._db)
            case ReserveGroup():
                return await self._reserve_group(event, ticket, operation.members)
            case JoinWaitlist():
                await join_waitlist(
                    self._db,
                    event_id=event,
                    user_id=person,
                    name=person,
                    email=_email(person),
                    ticket_id=ticket,
                )
            case LeaveWaitlist():
                await leave_waitlist(self._db, event, person, ticket)
            case ChangeCapacity():
                await change_capacity(self._db, ticket, operation.capacity)
            case Refund():
                await refund_rsvp(self._db, _id(operation.reservation))
            case ReadNotice():
                remaining = await self._listener.remaining(self._db, ticket)
                return Answer(Outcome.ACCEPTED, remaining=remaining)
            case ReadSales():
                sales = await get_ticket_sales(self._db, ticket)
                return Answer(Outcome.ACCEPTED, sold=sales[-1].standing if sales else 0)
        return Answer(Outcome.ACCEPTED)

    async def _reserve(self, event: int, ticket: str, person: str) -> Answer:
        made = await create_rsvp(
            self._db,
            event_id=event,
            user_id=person,
            name=person,
            email=_email(person),
            ticket_id=ticket,
        )
        return Answer(Outcome.ACCEPTED, reservation=str(made.rsvp.id), remaining=made.remaining)

    async def _reserve_group(self, event: int, ticket: str, members: Sequence[str]) -> Answer:
        made = await create_group_rsvp(
            self._db,
            event_id=event,
            ticket_id=ticket,
            user_ids=members,
            names=members,
            emails=[_email(member) for member in members],
        )
        return Answer(
            Outcome.ACCEPTED, group=tuple(str(rsvp.id) for rsvp in made.rsvps), remaining=made.remaining
        )

    async def _availability(self, event: int, ticket: str) -> Answer:
        rows = await get_ticket_availability(self._db, event)
        available = {row.id: row.available for row in rows}
        return Answer(Outcome.ACCEPTED, remaining=available[ticket])

    async def close(self) -> None:
        """Close the session."""
        async with asyncio.timeout(5):
            await self._db.close()

    def abandon(self) -> None:
        """Drop the session without a word."""
        self._db.terminate()


def _id(name: str | None) -> UUID:
    """Return the id that an earlier answer gave; where there was none, one that nothing has."""
    return _NO_ID if name is None else UUID(name)


def _email(person: str) -> str:
    return f"{person}@example.com"


KIND = Kind(
    name="sql",
    usage="sql",
    doc=__doc__ or "",
    claims=lambda spec: spec == "sql",
    make=lambda _: SqlTarget(),
)
