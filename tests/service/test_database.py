"""The pool: a connection comes back clean without being asked to forget what it never knew."""

from __future__ import annotations

from harness.service.database import borrowed, open_pool
from harness.service.settings import Settings


async def test_a_transaction_that_was_left_open_is_rolled_back(database: str) -> None:
    """Whatever ended the request before it was over, the next one begins with nothing."""
    settings = Settings(pool_size=1)
    async with open_pool(database, settings) as pool:
        async with borrowed(pool, settings) as connection:
            await connection.execute("BEGIN; CREATE TABLE half_done ()")
        async with borrowed(pool, settings) as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT to_regclass('half_done')") is None
