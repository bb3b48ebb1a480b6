"""The pool of connections: bounded in size, in waiting, and in what a lost connection may leave open."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from harness.postgres import connect, for_asyncpg, is_connection_lost, options_in
from harness.postgres.server import finish
from harness.service.errors import BusyError, DatabaseUnreachableError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.service.settings import Settings


@asynccontextmanager
async def open_pool(database: str, settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Yield a pool of connections to this URL; it is closed, by force if need be, at the end.

    :raises UsageError: when the URL is no URL of Postgres, or nobody answers there.
    """
    # A first connection of its own turns every way to fail into one clear message.
    await (await connect(database)).close()
    pool = await asyncpg.create_pool(
        for_asyncpg(database),
        min_size=1,
        max_size=settings.pool_size,
        command_timeout=settings.answer_wait,
        reset=_leave,
        **options_in(database),
        server_settings={
            "application_name": "oversell-service",
            "lock_timeout": f"{settings.lock_wait * 1000:.0f}",
            "statement_timeout": f"{settings.statement_wait * 1000:.0f}",
        },
    )
    try:
        yield pool
    finally:
        await finish(_close(pool, settings.shutdown_wait))


@asynccontextmanager
async def borrowed(pool: asyncpg.Pool, settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection of the pool, and give it back clean however the block ends.

    :raises BusyError: when none comes free in time.
    :raises DatabaseUnreachableError: when a new one cannot be made.
    :raises OutcomeUnknownError: when it is lost, or falls silent, within the block.
    """
    connection = await _acquire(pool, settings)
    try:
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=settings.answer_wait)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if not isinstance(error, TimeoutError) and not is_connection_lost(error):
            raise
        raise OutcomeUnknownError(
            "The database went away before it answered: this may or may not have been done."
            " Ask again with the same Idempotency-Key."
        ) from error


async def _leave(connection: asyncpg.Connection) -> None:
    """Leave a connection as it is, for the next request: asyncpg has rolled back what was open.

    No statement of this service changes its session: none sets anything, listens, or takes a lock that
    outlives its transaction. So there is nothing that ``RESET ALL`` and its like would undo, and every
    request is spared a round trip.
    """


async def _close(pool: asyncpg.Pool, wait: float) -> None:
    try:
        await asyncio.wait_for(pool.close(), wait)
    except TimeoutError:
        pool.terminate()


async def _acquire(pool: asyncpg.Pool, settings: Settings) -> asyncpg.Connection:
    try:
        async with asyncio.timeout(settings.pool_wait):
            return await pool.acquire()
    except TimeoutError:
        raise BusyError("no connection came free in time") from None
    except asyncpg.TooManyConnectionsError:
        raise BusyError("Postgres takes no more connections") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnreachableError("no connection to Postgres") from error
