"""A migrated database, connections to it, and a way to see that somebody waits."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest_asyncio

from harness.postgres import connect
from harness.ticketing import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import asyncpg


@pytest_asyncio.fixture
async def opening(database: str) -> AsyncIterator[Callable[[], Awaitable[asyncpg.Connection]]]:
    """Open connections to a migrated database; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def open_one() -> asyncpg.Connection:
            connection = await connect(database, command_timeout=30)
            stack.push_async_callback(connection.close, timeout=10)
            return connection

        await migrate(await open_one())
        yield open_one


@pytest_asyncio.fixture
async def connection(opening: Callable[[], Awaitable[asyncpg.Connection]]) -> asyncpg.Connection:
    """One connection to a migrated database."""
    return await opening()


@pytest_asyncio.fixture
async def until_blocked(
    opening: Callable[[], Awaitable[asyncpg.Connection]],
) -> Callable[[asyncpg.Connection], Awaitable[None]]:
    """Return once the statement under way on a connection waits for another session's lock."""
    observer = await opening()

    async def wait(connection: asyncpg.Connection) -> None:
        async with asyncio.timeout(20):
            blocked = False
            while not blocked:
                blocked = await observer.fetchval(
                    "select cardinality(pg_blocking_pids($1)) > 0", connection.get_server_pid()
                )

    return wait
