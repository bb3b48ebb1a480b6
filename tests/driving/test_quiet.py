"""Waiting for the database to come to rest, on a real one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving import quiet
from harness.driving.quiet import quiet_books
from harness.errors import InconclusiveError
from harness.model import Books, Stock
from harness.postgres import connect
from tests.driving.fakes import for_ever
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

import pytest_asyncio


def books_with(remaining: int) -> Books:
    """Return books that show this number."""
    return Books(stock=(Stock(ticket="general", initial=9, remaining=remaining),))


class Shows:
    """A running target that shows these books one after another, the last for ever."""

    def __init__(self, *remaining: int) -> None:
        self.left = list(remaining)
        self.read = 0

    async def books(self, _: object) -> Books:
        self.read += 1
        return books_with(self.left.pop(0) if len(self.left) > 1 else self.left[0])


class Watching:
    """A monitor that says when it has seen somebody busy."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.saw_busy = asyncio.Event()

    async def fetchval(self, query: str) -> str | None:
        busy: str | None = await self._connection.fetchval(query)
        if busy:
            self.saw_busy.set()
        return busy


@pytest_asyncio.fixture
async def monitor(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Our own connection."""
    connection = await connect(database)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def buyer(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's session."""
    connection = await connect(database)
    yield connection
    await connection.close()


async def test_one_reading_is_enough_when_every_answer_came(monitor: Any) -> None:
    """Nothing is under way, so what is read is the end."""
    shows = Shows(3)
    assert await quiet_books(shows, None, monitor, alike=1) == books_with(3)  # type: ignore[arg-type]  # it only reads
    assert shows.read == 1


async def test_where_something_may_be_on_its_way_readings_must_agree(monitor: Any) -> None:
    """Books that still change are read until so many in a row are the same."""
    shows = Shows(5, 4, 4, 3)
    assert await quiet_books(shows, None, monitor, alike=3) == books_with(3)  # type: ignore[arg-type]  # it only reads
    assert shows.read == 6


async def test_a_busy_session_is_waited_for(monitor: Any, buyer: asyncpg.Connection) -> None:
    """Nothing is read while a transaction is open, and everything once it has committed."""
    shows, watching = Shows(1), Watching(monitor)
    await buyer.execute("BEGIN")
    reading = asyncio.ensure_future(quiet_books(shows, None, watching, alike=1))  # type: ignore[arg-type]  # it only reads
    async with asyncio.timeout(30):
        await watching.saw_busy.wait()
        assert shows.read == 0
        await buyer.execute("COMMIT")
        assert await reading == books_with(1)


async def test_readings_before_a_busy_moment_do_not_count(monitor: Any, buyer: asyncpg.Connection) -> None:
    """A session that begins between two readings makes the count begin anew."""

    class Begins(Shows):
        async def books(self, sale: object) -> Books:
            books = await super().books(sale)
            if self.read == 1:
                await buyer.execute("BEGIN")
            return books

    shows, watching = Begins(2, 1), Watching(monitor)
    reading = asyncio.ensure_future(quiet_books(shows, None, watching, alike=2))  # type: ignore[arg-type]  # it only reads
    async with asyncio.timeout(30):
        await watching.saw_busy.wait()
        assert shows.read == 1
        await buyer.execute("COMMIT")
        assert await reading == books_with(1)
    assert shows.read == 3


async def test_a_session_that_stays_busy_is_named(
    monitor: Any, buyer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says which session keeps the database from coming to rest, and how."""
    monkeypatch.setattr(quiet, "_TIMEOUT", 0.2)
    pid = await buyer.fetchval("SELECT pg_backend_pid()")
    await buyer.execute("BEGIN")
    with pytest.raises(InconclusiveError, match=f"session {pid} is idle in transaction"):
        await quiet_books(Shows(1), None, monitor, alike=1)  # type: ignore[arg-type]  # it only reads


class Fewer:
    """A monitor that sees fewer and fewer busy sessions, each look after most of the time there is.

    The time passes on the clock of the loop alone, which is set forward with every look.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *busy: str | None) -> None:
        self.busy = list(busy)
        self.ahead = 0.0
        loop = asyncio.get_running_loop()
        clock = loop.time
        monkeypatch.setattr(loop, "time", lambda: clock() + self.ahead)

    async def fetchval(self, _query: str) -> str | None:
        self.ahead += 0.6 * quiet._TIMEOUT
        await next_turn()
        return self.busy.pop(0)


async def test_while_sessions_come_to_rest_the_others_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlocks are broken one after another: the time counts from the last session that was done."""
    fewer: Any = Fewer(monkeypatch, "session 1 is active, session 2 is active", "session 2 is active", None)
    assert await quiet_books(Shows(1), None, fewer, alike=1) == books_with(1)  # type: ignore[arg-type]  # it only reads
    same: Any = Fewer(monkeypatch, "session 1 is active", "session 2 is active", None)
    with pytest.raises(InconclusiveError, match="session 2 is active"):
        await quiet_books(Shows(1), None, same, alike=1)  # type: ignore[arg-type]  # it only reads


async def test_books_that_never_stop_changing_are_inconclusive(
    monitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something keeps writing after every answer has come."""
    monkeypatch.setattr(quiet, "_TIMEOUT", 0.2)
    with pytest.raises(InconclusiveError, match="its books kept changing"):
        await quiet_books(Shows(*range(9999)), None, monitor, alike=2)  # type: ignore[arg-type]  # it only reads


async def test_books_that_are_never_read_are_inconclusive(
    monitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that does not answer when asked for its books does not hang us."""

    class Silent:
        async def books(self, _: object) -> Books:
            await for_ever()
            return books_with(0)

    monkeypatch.setattr(quiet, "_TIMEOUT", 0.2)
    with pytest.raises(InconclusiveError, match="could not be read"):
        await quiet_books(Silent(), None, monitor, alike=1)  # type: ignore[arg-type]  # it only reads
