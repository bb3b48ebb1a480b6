"""The monitor: what Postgres says of its own sessions while they are under a schedule.

One connection that does not go through the proxy. Whether a session waits is observed, never guessed:
``pg_isolation_test_session_is_blocked`` is what PostgreSQL's own isolation tests ask, at a third of the cost
of ``pg_blocking_pids``; it is undocumented, so the latter serves where it is missing.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from harness.exploring.conflicts import Conflicts, isolation_of
from harness.exploring.events import Footprint
from harness.postgres import connect, quote_identifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_FAST = "SELECT pg_isolation_test_session_is_blocked($1, $2)"
_SURE = "SELECT $1 <> 0 AND cardinality(pg_blocking_pids($1)) > 0 AND $2::int[] IS NOT NULL"
_BLOCKERS = "SELECT pg_blocking_pids($1)"

# Indexes, sequences and the system's own tables say nothing that the tables do not: nextval() is never
# undone, and ids that differ from run to run mean the same.
_FOOTPRINT = """
    SELECT CASE l.locktype WHEN 'relation' THEN c.oid::regclass::text END AS relation,
           concat_ws(':', l.classid, l.objid, l.objsubid) AS advisory,
           l.mode
    FROM pg_locks l
    LEFT JOIN pg_class c ON l.locktype = 'relation' AND c.oid = l.relation
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    WHERE l.pid = $1 AND l.granted AND l.mode <> 'SIReadLock'
      AND (l.locktype = 'advisory' OR (c.relkind IN ('r', 'p', 'm', 'f') AND c.oid >= 16384))
"""
_LOOKS_AT_LOCKS = """
    SELECT EXISTS (
        SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
          AND p.prosrc ~* 'skip\\s+locked|nowait|pg_try_advisory|lock_timeout'
    )
"""
_ROW_LOCKS = r"for\s+(no\s+key\s+update|key\s+share|update|share)|\mlock\M"
_ASKS_FOR_ROW_LOCKS = """
    SELECT EXISTS (
        SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ~* $1
    ) OR EXISTS (
        SELECT FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND definition ~* $1
    )
"""
_FOREIGN_KEYS = """
    SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent
    FROM pg_constraint WHERE contype = 'f'
"""
_DEFERRABLE = """
    SELECT count(*) > 0, coalesce(array_agg(tgrelid::regclass::text) FILTER (WHERE NOT tgisinternal), '{}')
    FROM pg_trigger WHERE tgdeferrable
"""


_READING = frozenset({"AccessShareLock"})
_ROWS_ONLY = frozenset({"RowShareLock"})
_NOT_WRITING = _READING | _ROWS_ONLY

_ROW_LOCKS_IN_SQL = re.compile(r"for\s+(no\s+key\s+update|key\s+share|update|share)|\block\b", re.IGNORECASE)


def asks_for_row_locks(sql: str) -> bool:
    """Say whether a statement asks for locks in so many words."""
    return _ROW_LOCKS_IN_SQL.search(sql) is not None


# STABLE and IMMUTABLE functions see what the query sees that calls them, and one query is one look.
_FUNCTIONS = """
    SELECT DISTINCT lower(p.proname) AS name
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.provolatile = 'v'
      AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
      AND (l.lanname NOT IN ('internal', 'c', 'sql') OR l.lanname = 'sql' AND p.prosrc ~ ';\\s*\\S')
"""
_TRIGGERED = """
    SELECT DISTINCT t.tgrelid::regclass::text AS name
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND p.prosrc ~* '\\m(select|perform|update|insert|delete)\\M'
"""


@dataclass(slots=True)
class Monitor:
    """See the module."""

    db: asyncpg.Connection
    functions_lock_rows: bool = True
    """Some function or view of the database asks for row locks."""
    foreign_keys: frozenset[tuple[str, str]] = frozenset()
    """The referencing and the referenced table of each foreign key."""
    _is_blocked: str = _FAST

    async def blocked(self, pid: int, others: Sequence[int]) -> bool:
        """Say whether a session waits for one of the others."""
        try:
            return bool(await self.db.fetchval(self._is_blocked, pid, list(others)))
        except asyncpg.UndefinedFunctionError:
            self._is_blocked = _SURE
            return await self.blocked(pid, others)

    async def blockers(self, pid: int) -> Sequence[int]:
        """Return the sessions that one waits for, directly or in the queue before it."""
        found: Sequence[int] = await self.db.fetchval(_BLOCKERS, pid)
        return found

    async def footprint(self, pid: int, *, locks_rows: bool) -> Footprint:
        """Return what the session's open transaction has touched so far.

        :param locks_rows: one of its statements asks for row locks (SELECT … FOR UPDATE and the like).
        """
        modes: dict[str, set[str]] = {}
        advisory: set[str] = set()
        for row in await self.db.fetch(_FOOTPRINT, pid):
            if row["relation"] is None:
                advisory.add(row["advisory"])
            else:
                modes.setdefault(row["relation"], set()).add(row["mode"])
        written = frozenset(name for name, held in modes.items() if held - _NOT_WRITING)
        if not (locks_rows or self.functions_lock_rows):
            for name in [name for name, held in modes.items() if held == _ROWS_ONLY]:
                if self._is_only_referenced(name, written):
                    del modes[name]
        return Footprint(
            relations=frozenset(modes),
            written=written,
            locked=frozenset(name for name, held in modes.items() if held != _READING),
            advisory=frozenset(advisory),
        )

    def _is_only_referenced(self, table: str, written: frozenset[str]) -> bool:
        """Say whether row locks on a table can only come from the check of a foreign key to it.

        Such a check asks whether a row is there. It meets whoever deletes that row or changes its key in a
        wait or in an error, both of which are seen, and nobody else.
        """
        checks = any(child in written and parent == table for child, parent in self.foreign_keys)
        checked = any(child == table and parent in written for child, parent in self.foreign_keys)
        return checks and not checked

    async def connect_anew(self, database: str) -> None:
        """Go on on another connection, when Postgres was gone for a while."""
        self.leave()
        self.db = await connect(database)

    def leave(self) -> None:
        """Drop the connection."""
        self.db.terminate()

    async def conflicts(self, isolation: str | None) -> Conflicts:
        """Return the dependence relation that fits this database.

        :param isolation: default level of the target's sessions; ``None`` for the database's own.
        """
        commits_read, deciding = await self.db.fetchrow(_DEFERRABLE)
        own: str = await self.db.fetchval("SHOW default_transaction_isolation")
        return Conflicts(
            isolation=isolation_of(isolation or own),
            commits_read=commits_read,
            decided_at_commit=frozenset(deciding),
            functions=frozenset(row["name"] for row in await self.db.fetch(_FUNCTIONS)),
            triggered=frozenset(row["name"] for row in await self.db.fetch(_TRIGGERED)),
            looks_at_locks=await self.db.fetchval(_LOOKS_AT_LOCKS),
        )


@contextlib.asynccontextmanager
async def monitoring(database: str) -> AsyncIterator[Monitor]:
    """Watch one database for the length of a block.

    Deadlocks are looked for at once there, where we may say so: then the victim is always the one whose
    wait closed the cycle, and no run has to sit out the usual second.
    """
    monitor = Monitor(await connect(database))
    try:
        db = monitor.db
        name = quote_identifier(await db.fetchval("SELECT current_database()"))
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await db.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '1ms'")
        monitor.functions_lock_rows = await db.fetchval(_ASKS_FOR_ROW_LOCKS, _ROW_LOCKS)
        monitor.foreign_keys = frozenset(
            (row["child"], row["parent"]) for row in await db.fetch(_FOREIGN_KEYS)
        )
        yield monitor
    finally:
        monitor.leave()
