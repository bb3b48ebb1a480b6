"""Pooling: the target behind a pooler whose sessions change hands between its transactions.

The way is: target, gate, PgBouncer, proxy, Postgres. Behind the pooler stands the proxy, so that steps and
backends are Postgres' own. Before it stands the gate, which keeps what a client sends from the pooler: at the
proxy it would be too late, since the pooler has chosen a session by then.

PgBouncer hands out the session that came back last. While one client stands at the gate, others are served by
the very session that it was in. Then a *stranger* of ours takes that session, with a transaction in which
nothing is done, and whoever stood at the gate goes on in another one.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from harness.errors import InconclusiveError
from harness.postgres import Reaper, connect
from harness.postgres.pooler import run_pooler
from harness.wire import Address, lead_through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from harness.faulting.watch import Watch
    from harness.postgres.pooler import Pooler

BEGIN = "BEGIN /* a stranger's */"
ROLLBACK = "ROLLBACK /* a stranger's */"
"""What strangers say, by which they are known."""

_STRANGERS = 3
"""How many sessions in a row somebody else can be in."""
_BUSY_FOR = 5.0
"""Seconds for a stranger to get a session, or to leave it."""
_GONE_FOR = 2.0
_READ_SIZE = 65_536
# Postgres' answers to a statement that was prepared in another session, or there by the same name.
_UNPREPARED = (b"\0C26000\0", b"\0C42P05\0")


@dataclass(slots=True)
class Gate:
    """Passes on what clients and the pooler send each other, and can have the next to send wait."""

    socket: str
    """Of the pooler."""
    address: Address = field(default_factory=lambda: Address("127.0.0.1", 0))
    """Where it listens."""
    unprepared: bool = False
    """Somebody relied on a prepared statement that the session did not have."""
    failure: Exception | None = None
    """What went wrong while somebody waited."""
    _caught: Callable[[], Awaitable[None]] | None = None
    _passing: set[asyncio.Task[None]] = field(default_factory=set)

    def hold(self, caught: Callable[[], Awaitable[None]]) -> None:
        """Whoever sends next waits until this is done."""
        self._caught = caught

    def open(self) -> None:
        """Have nobody wait who does not by now."""
        self._caught = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for the length of a block; whatever is open then breaks."""
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            yield
        finally:
            server.close()
            for task in tuple(self._passing):
                task.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a server's callback runs in one
        self._passing.add(task)
        to_pooler: asyncio.StreamWriter | None = None
        try:
            with contextlib.suppress(OSError):
                from_pooler, to_pooler = await asyncio.open_unix_connection(self.socket)
                await self._pass(reader, writer, from_pooler, to_pooler)
        except asyncio.CancelledError:
            pass  # The block is over; nobody waits for this.
        finally:
            for each in (writer, to_pooler):
                if each is not None:
                    each.transport.abort()
            self._passing.discard(task)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_pooler: asyncio.StreamReader,
        to_pooler: asyncio.StreamWriter,
    ) -> None:
        """Pass on in both directions until either ends."""
        ways = {
            asyncio.ensure_future(self._in(reader, to_pooler)),
            asyncio.ensure_future(self._out(from_pooler, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_SIZE):
            if self._caught is not None:
                caught, self._caught = self._caught, None
                await self._wait(caught)
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def _out(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last = b""
        while data := await reader.read(_READ_SIZE):
            last = last[-8:] + data
            self.unprepared = self.unprepared or any(code in last for code in _UNPREPARED)
            writer.write(data)
            await writer.drain()

    async def _wait(self, caught: Callable[[], Awaitable[None]]) -> None:
        try:
            await caught()
        except Exception as failure:  # it is raised where the run ends
            self.failure = self.failure or failure


@dataclass(slots=True)
class Pooling:
    """See the module."""

    gate: Gate
    pooler: Pooler
    strangers: tuple[asyncpg.Connection, ...]
    _taken: int = 0
    """How many strangers are in a session."""

    @property
    def complaint(self) -> str:
        """Why a run says nothing: somebody relied on a prepared statement that a session did not have."""
        if not self.gate.unprepared:
            return ""
        version = ".".join(map(str, self.pooler.version[:2]))
        kept = "does not have them" if self.pooler.keeps_prepared else f"{version} does not carry over"
        return (
            f"pooled: the target relies on prepared statements, which PgBouncer {kept}:"
            " tell its driver to keep none (through_pooler in docs/faults.md)"
        )

    async def take(self) -> None:
        """Have a stranger take the session that came back last."""
        if self._taken < len(self.strangers):
            stranger = self.strangers[self._taken]
            self._taken += 1
            await _say(stranger, BEGIN)

    async def leave(self) -> None:
        """Have all strangers give their sessions back."""
        while self._taken:
            self._taken -= 1
            await _say(self.strangers[self._taken], ROLLBACK)

    async def renew(self, watch: Watch, pids: Iterable[int]) -> None:
        """Use other sessions from now on: what somebody left in these is no concern of who comes next.

        :raises InconclusiveError: when the pooler is no more.
        """
        self.gate.open()
        await self.leave()
        with _answering():
            await self.pooler.reconnect()
        pids = tuple(pids)
        for pid in pids:
            await watch.terminate(pid)
        await watch.gone(pids, or_idle=False, seconds=_GONE_FOR)
        self.gate.unprepared = False
        failure, self.gate.failure = self.gate.failure, None
        if failure is not None:
            raise failure


@contextlib.asynccontextmanager
async def pooling(url: str) -> AsyncIterator[Pooling]:
    """Stand between a target and its database for the length of a block.

    :param url: the database, led through the proxy.
    :raises UsageError: when there is no pooler, or it does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        reaper = stack.enter_context(Reaper())
        pooler = await stack.enter_async_context(run_pooler(reaper, url))
        gate = Gate(pooler.socket)
        await stack.enter_async_context(gate.listening())
        strangers = []
        for _ in range(_STRANGERS):
            strangers.append(await connect(pooler.url(url), statement_cache_size=0))
            stack.callback(strangers[-1].terminate)
        yield Pooling(gate, pooler, tuple(strangers))


async def _say(stranger: asyncpg.Connection, what: str) -> None:
    with _answering():
        await stranger.execute(what, timeout=_BUSY_FOR)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Expect the pooler to answer; somebody else may have ended it."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise InconclusiveError(f"the pooler did not answer: {type(error).__name__}") from error


def through(url: str, gate: Gate, query: str) -> str:
    """Return a database's URL as a target behind the gate gets it.

    :param query: what the target's driver wants to be told, behind a pooler.
    """
    led = lead_through(url, gate.address)
    return f"{led}{'&' if '?' in led else '?'}{query}" if query else led
