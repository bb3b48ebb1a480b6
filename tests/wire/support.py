"""Controllers for tests: one that writes everything down, one that holds until told."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from harness.wire import (
    PROCEED,
    Address,
    Decision,
    Proxy,
    Result,
    SessionInfo,
    Statement,
    address_of,
    lead_through,
)
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BOUND = 20.0
"""Seconds after which a test that waits has failed."""


class Recorder:
    """Lets everything through, one after another, and writes down what it was asked and told."""

    def __init__(self, decide: Callable[[str, Statement], Decision] | None = None) -> None:
        self.log: list[tuple[str, str, str]] = []
        self.statements: list[Statement] = []
        self.executions: list[tuple[Statement, Result]] = []
        self.results: list[tuple[Statement, Result]] = []
        self.opened: list[SessionInfo] = []
        self.closed: list[SessionInfo] = []
        self._decide = decide

    def session_opened(self, session: SessionInfo) -> None:
        self.opened.append(session)

    async def before_execute(self, statement: Statement) -> Decision:
        self.statements.append(statement)
        return await self._ask("execute", statement)

    async def before_commit(self, statement: Statement) -> Decision:
        return await self._ask("commit", statement)

    def executed(self, statement: Statement, result: Result) -> None:
        self.executions.append((statement, result))
        self._note("executed", statement, result)

    def finished(self, statement: Statement, result: Result) -> None:
        self.results.append((statement, result))
        self._note("finished", statement, result)

    def session_closed(self, session: SessionInfo) -> None:
        self.closed.append(session)

    def of(self, word: str) -> list[tuple[str, str, str]]:
        """What was noted about the statements whose text holds a word."""
        return [entry for entry in self.log if word in entry[1]]

    async def _ask(self, moment: str, statement: Statement) -> Decision:
        await next_turn()
        self.log.append((moment, statement.sql, statement.kind))
        return self._decide(moment, statement) if self._decide else PROCEED

    def _note(self, what: str, statement: Statement, result: Result) -> None:
        told = result.sqlstate or "/".join(result.tags)
        self.log.append((what, statement.sql, "lost" if result.lost else told))


class Holder(Recorder):
    """Holds every point until it is released by hand."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[tuple[str, int], asyncio.Future[Decision]] = {}
        self._changed = asyncio.Condition()
        self._ended: dict[int, asyncio.Event] = {}

    async def _ask(self, moment: str, statement: Statement) -> Decision:
        self.log.append((moment, statement.sql, statement.kind))
        held: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._held[moment, statement.session] = held
        async with self._changed:
            self._changed.notify_all()
        return await held

    async def wait_for(self, moment: str, count: int) -> list[int]:
        """Wait until so many sessions are held at a moment, and return them in order."""
        async with asyncio.timeout(BOUND), self._changed:
            await self._changed.wait_for(lambda: len(self.held(moment)) >= count)
        return self.held(moment)

    async def finished_by(self, session: int) -> None:
        """Wait until a session has finished a statement."""
        async with asyncio.timeout(BOUND):
            await self._ended.setdefault(session, asyncio.Event()).wait()

    def finished(self, statement: Statement, result: Result) -> None:
        super().finished(statement, result)
        self._ended.setdefault(statement.session, asyncio.Event()).set()

    def held(self, moment: str) -> list[int]:
        return sorted(session for what, session in self._held if what == moment)

    def release(self, moment: str, session: int, decision: Decision = PROCEED) -> None:
        self._held.pop((moment, session)).set_result(decision)


@asynccontextmanager
async def proxied(url: str, **options: object) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before a database, and the URL through it."""
    async with Proxy(address_of(url), **options) as proxy:  # type: ignore[arg-type]  # checked by Proxy
        yield proxy, proxy.url(url)


class Tap:
    """A relay that keeps a copy of what went each way, for replaying real conversations."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()

    @asynccontextmanager
    async def between(self, url: str) -> AsyncIterator[str]:
        address = address_of(url)
        tasks: set[asyncio.Task[None]] = set()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up_reader, up_writer = await asyncio.open_connection(address.host, address.port)
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, up_writer, self.sent))
                group.create_task(_copy(up_reader, writer, self.received))

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(relay(reader, writer))
            tasks.add(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield lead_through(url, Address("127.0.0.1", server.sockets[0].getsockname()[1]))
            async with asyncio.timeout(BOUND):
                await asyncio.gather(*tasks)
        finally:
            server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    while data := await reader.read(65_536):
        kept += data
        writer.write(data)
    writer.close()
