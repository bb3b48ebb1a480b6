"""Loading ``sql/`` into a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.content import content

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

_ONE_AT_A_TIME = 7283941
"""Advisory lock of whoever is migrating a database. Any number will do that nobody else uses."""


def migration_files() -> tuple[Path, ...]:
    """Return the migrations in the order in which they are applied.

    :raises RuntimeError: when there are none, which means a broken installation.
    """
    files = tuple(sorted(content("sql").glob("[0-9]*.sql")))
    if not files:
        raise RuntimeError(f"no migrations in {content('sql')}")
    return files


async def migrate(connection: asyncpg.Connection, *, timeout: float = 60) -> None:
    """Bring the database up to date: all of ``sql/``, or nothing when one of them fails.

    Safe to call again, and to call at the same moment from several processes.

    :param timeout: seconds for each migration, and for waiting until somebody else has migrated.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _ONE_AT_A_TIME, timeout=timeout)
        for file in migration_files():
            await connection.execute(file.read_text(encoding="utf-8"), timeout=timeout)
