"""Servers and the databases made in them."""

from __future__ import annotations

from harness.postgres import connect


async def test_a_fresh_database_is_empty(database: str) -> None:
    """Each test gets a database without a table of anybody's."""
    connection = await connect(database)
    try:
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert count == 0
    finally:
        await connection.close()
