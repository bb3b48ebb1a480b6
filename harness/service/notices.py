"""Availability as it changes: one LISTEN connection of this process, fanned out to every socket.

Theory of operation. Postgres delivers notifications in the order in which the transactions that sent them
committed, and only then; each carries a number that grows with every change of its ticket type. So whoever
hears all of them knows each state that a ticket type was in, and none that never was. Two things are left:

* *What is true to begin with?* An event that somebody begins to watch is read, once, after the channel is
  listened to; of what was read and what was heard meanwhile the greater number is the newer state. When the
  LISTEN connection is lost, what is notified meanwhile is lost for good: all events are read anew.
* *Has everything arrived?* asks a client that sends ``sync``. A *mark* tells: a notification of our own, on
  a channel nobody else listens to. When it comes back, everything that committed before it has been heard.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from harness.errors import UsageError
from harness.postgres import connect
from harness.service.background import in_background
from harness.service.database import borrowed
from harness.service.mailbox import Mailbox, TicketNow
from harness.ticketing import CHANNEL, read_notice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.service.settings import Settings

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
"""Seconds between two attempts to connect; each is twice the one before."""

_READ = """
    SELECT e.id AS event, t.id AS ticket, t.quantity_available AS available, t.notice_number AS sequence
    FROM public.events e LEFT JOIN public.tickets t ON t.event_id = e.id
    WHERE e.id = ANY ($1::bigint[])
    ORDER BY t.name, t.id
"""

# Nothing of what it reads is used. But whoever watches the statements of this service, to find out which of
# them depend on each other, sees by it that the answer depends on what was sold before.
_MARK = "SELECT pg_notify($1, $2) FROM (SELECT count(*) FROM public.tickets WHERE event_id = $3) AS seen"

log = logging.getLogger(__name__)


class TooManySocketsError(Exception):
    """As many sockets are open as this process is meant to serve."""


@dataclass(slots=True)
class _Event:
    """An event that somebody watches."""

    mailboxes: set[Mailbox] = field(default_factory=set)
    tickets: dict[str, TicketNow] = field(default_factory=dict)
    """The newest state known of each ticket type."""
    read: bool = False
    """It has been read on the present connection, so that nothing is missing."""

    def newest(self, ticket: TicketNow) -> bool:
        """Keep a state if it is the newest known, and say whether it is."""
        known = self.tickets.get(ticket.ticket_id)
        if known is not None and known.sequence >= ticket.sequence:
            return False
        self.tickets[ticket.ticket_id] = ticket
        return True

    def snapshot(self) -> list[TicketNow]:
        """Return the newest state of every ticket type."""
        return list(self.tickets.values())


class Notices:
    """Hears every change of availability, and tells those who watch. See the module."""

    def __init__(self, database: str, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._events: dict[int, _Event] = {}
        self._count = 0
        self._wanted = asyncio.Event()
        """Some event has to be read, or the connection is lost."""
        self._mark_channel = f"oversell_mark_{secrets.token_hex(8)}"
        self._marks: dict[str, asyncio.Future[None]] = {}
        """By payload: the marks that are under way."""
        self._complete = asyncio.Event()
        """Everything that is watched was read since the present connection began to listen."""
        self._garbled = False
        self._failing = False
        self.tried = asyncio.Event()
        """Set once the first attempt to connect has succeeded or failed."""

    @contextmanager
    def watch(self, number: int) -> Iterator[Mailbox]:
        """Yield a mailbox that gets the present state of an event, and then every change of it.

        :raises TooManySocketsError: when there are too many of them already.
        """
        if self._count >= self._settings.live_sockets:
            raise TooManySocketsError
        mailbox = Mailbox(number)
        event = self._events.setdefault(number, _Event())
        event.mailboxes.add(mailbox)
        self._count += 1
        if event.read:
            mailbox.begin(event.snapshot())
        else:
            self._wanted.set()
        try:
            yield mailbox
        finally:
            self._count -= 1
            event.mailboxes.discard(mailbox)
            if not event.mailboxes:
                del self._events[number]

    async def catch_up(self, pool: asyncpg.Pool, event: int) -> None:
        """Return once every change of an event has been offered to its mailboxes that committed before.

        :raises TimeoutError: when that takes longer than a request waits for a connection.
        :raises ServiceError: when Postgres cannot be asked.
        :raises PostgresError: when it has no answer, as when others lock what is to be read.
        """
        mark = secrets.token_hex(8)
        self._marks[mark] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._settings.pool_wait):
                async with borrowed(pool, self._settings) as connection:
                    await connection.execute(_MARK, self._mark_channel, mark, event)
                await self._marks[mark]
                # It may have come over a new connection, and before what the last one missed was read.
                await self._complete.wait()
        finally:
            del self._marks[mark]

    async def run(self) -> None:
        """Stay connected for ever; trouble is logged once for as long as it lasts, and never the end."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with self._listening() as connection:
                    # Whether or not somebody watches: it shows that the connection is good for something.
                    await self._read(connection)
                    self._complete.set()
                    self._failing, pause = False, _FIRST_PAUSE
                    self.tried.set()
                    while True:
                        due = await self._wait(connection)
                        if due or not all(event.read for event in self._events.values()):
                            await self._read(connection)
            except (UsageError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._tell(error)
            self.tried.set()
            # Not all processes at once.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # it guards nothing
            pause = min(pause * 2, _LONGEST_PAUSE)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await connect(
            self._database,
            command_timeout=self._settings.answer_wait,
            server_settings={
                "application_name": "oversell-service-live",
                "statement_timeout": f"{self._settings.statement_wait * 1000:.0f}",
            },
        )
        try:
            connection.add_termination_listener(lambda _: self._wanted.set())
            await connection.add_listener(CHANNEL, self._notified)
            await connection.add_listener(self._mark_channel, self._marked)
            yield connection
        finally:
            connection.terminate()
            self._complete.clear()
            for event in self._events.values():
                event.read = False
                event.tickets.clear()

    async def _wait(self, connection: asyncpg.Connection) -> bool:
        """Wait until there is something to read; say whether it is time to see if the connection lives."""
        due = False
        try:
            async with asyncio.timeout(self._settings.listen_check or None):
                await self._wanted.wait()
        except TimeoutError:
            due = True
        self._wanted.clear()
        if connection.is_closed():
            raise ConnectionError("the connection was lost")
        return due

    async def _read(self, connection: asyncpg.Connection) -> None:
        """Read every event that somebody watches and that was not read yet, all at once."""
        wanted = {number: event for number, event in self._events.items() if not event.read}
        rows = await connection.fetch(_READ, list(wanted))
        known = {row["event"] for row in rows}
        for row in rows:
            if row["ticket"] is not None:
                wanted[row["event"]].newest(TicketNow.of(row["ticket"], row["available"], row["sequence"]))
        for number, event in wanted.items():
            event.read = number in known
            for mailbox in event.mailboxes:
                mailbox.begin(event.snapshot() if event.read else None)

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Hear of a change."""
        try:
            notice = read_notice(str(payload))
        except (ValueError, RecursionError):
            if not self._garbled:
                log.warning("A notification on %s is none of ours, and is passed over.", CHANNEL)
            self._garbled = True
            return
        event = self._events.get(notice.event_id)
        now = TicketNow.of(notice.ticket_id, notice.available, notice.sequence)
        if event is not None and event.newest(now) and event.read:
            for mailbox in event.mailboxes:
                mailbox.offer(now)

    def _marked(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        """Hear our own mark."""
        came = self._marks.get(str(payload))
        if came is not None and not came.done():
            came.set_result(None)

    def _tell(self, error: Exception) -> None:
        if not self._failing:
            log.warning("No changes of availability are heard at this moment; trying again. (%s)", error)
        self._failing = True


@asynccontextmanager
async def hearing(database: str, settings: Settings) -> AsyncIterator[Notices]:
    """Yield the notices of a database once they are heard, or once it is known that they are not yet."""
    notices = Notices(database, settings)
    async with in_background(notices.run()):
        await notices.tried.wait()
        yield notices
