"""A server the user names by URL: it is looked at before anything is made in it.

Work happens in databases of our own beside the named one, which is never written to. It is still refused
unless it is empty or ours: somebody who points us at a database full of tables most likely copied the
wrong URL, and a rush of buyers is nothing to let loose on the cluster behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.postgres.connecting import connect
from harness.postgres.server import APPLICATION, MARKER, OLDEST_MAJOR
from harness.postgres.urls import quote_identifier, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

_MARKED = f"""
    SELECT current_database() LIKE 'oversell\\_%'
       AND coalesce(shobj_description(oid, 'pg_database'), '') LIKE '{MARKER}%'
    FROM pg_database WHERE datname = current_database()
"""  # noqa: S608  # a constant of ours

_INHABITANTS = """
    WITH ours_to_judge AS (
        SELECT oid, nspname FROM pg_namespace
        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    ), things AS (
        SELECT 'pg_class'::regclass AS kind, c.oid, n.nspname || '.' || c.relname AS name
        FROM pg_class c JOIN ours_to_judge n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL
        SELECT 'pg_proc'::regclass, p.oid, n.nspname || '.' || p.proname || '()'
        FROM pg_proc p JOIN ours_to_judge n ON n.oid = p.pronamespace
        UNION ALL
        SELECT 'pg_type'::regclass, t.oid, n.nspname || '.' || t.typname
        FROM pg_type t JOIN ours_to_judge n ON n.oid = t.typnamespace
        WHERE t.typtype IN ('e', 'd')
    )
    SELECT name FROM things
    WHERE NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.classid = things.kind AND d.objid = things.oid AND d.deptype = 'e'
    )
    ORDER BY name LIMIT 4
"""

_LEFT_OVERS = f"""
    SELECT datname, datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS mine
    FROM pg_database
    WHERE coalesce(shobj_description(oid, 'pg_database'), '') LIKE '{MARKER}%'
      AND NOT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE application_name = '{APPLICATION}' || substr(
            shobj_description(pg_database.oid, 'pg_database'), {len(MARKER) + 1})
      )
    ORDER BY datname
"""  # noqa: S608  # constants of ours


def require_version(connection: asyncpg.Connection) -> str:
    """Return the server's version.

    :raises UsageError: when it is too old: cloning with ``STRATEGY WAL_LOG`` came with 15.
    """
    version = str(connection.get_settings().server_version).split()[0]
    if connection.get_server_version().major < OLDEST_MAJOR:
        raise UsageError(f"PostgreSQL {version} is too old: {OLDEST_MAJOR} or newer is needed.")
    return version


async def require_usable(connection: asyncpg.Connection, url: str, *, disposable: bool) -> None:
    """Refuse a server we may not, or should not, work in.

    :param disposable: the user says that nothing on this server is of value.
    :raises UsageError: when the user may not create databases, or the named database is somebody's.
    """
    allowed = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    if not await connection.fetchval(allowed):
        user = await connection.fetchval("SELECT current_user")
        raise UsageError(
            f"{redact(url)}: the user {user!r} may not create databases, and each check needs its own: "
            f"run ALTER ROLE {quote_identifier(user)} CREATEDB as a superuser, or name another user."
        )
    if disposable or await connection.fetchval(_MARKED):
        return
    inhabitants = [row["name"] for row in await connection.fetch(_INHABITANTS)]
    if inhabitants:
        raise UsageError(
            f"{redact(url)}: the database {await connection.fetchval('SELECT current_database()')!r} is not "
            f"empty (it holds {_some(inhabitants)}), so nothing was touched: name an empty database, "
            "or pass --disposable if nothing on that server is of value."
        )


async def left_overs(connection: asyncpg.Connection, *, mine: bool = False) -> Sequence[str]:
    """Return the databases that runs which are no longer connected left behind.

    :param mine: only those the connected user owns, and so may drop.
    """
    return [row["datname"] for row in await connection.fetch(_LEFT_OVERS) if row["mine"] or not mine]


async def drop_left_overs(url: str) -> Sequence[str]:
    """Drop what crashed runs of this user left behind; return the names."""
    connection = await connect(url)
    try:
        names = await left_overs(connection, mine=True)
        for name in names:
            await connection.execute(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")
        return names
    finally:
        connection.terminate()


def _some(names: Sequence[str]) -> str:
    """Return the first names, and whether there are more."""
    return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
