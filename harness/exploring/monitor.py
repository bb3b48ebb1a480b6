"""The monitor: what Postgres says of its own sessions while they are under a schedule.

One connection that does not go through the proxy. Whether a session waits is observed, never guessed:
``pg_isolation_test_session_is_blocked`` is what PostgreSQL's own isolation tests ask, at a third of the cost
of ``pg_blocking_pids``; it is undocumented, so the latter serves where it is missing.
"""

from __future__ import annotations

import contextlib
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
           l.mode NOT IN ('AccessShareLock', 'RowShareLock') AS written,
           l.mode <> 'AccessShareLock' AS locked
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
_DEFERRABLE = """
    SELECT count(*) > 0, coalesce(array_agg(tgrelid::regclass::text) FILTER (WHERE NOT tgisinternal), '{}')
    FROM pg_trigger WHERE tgdeferrable
"""


@dataclass(slots=True)
class Monitor:
    """See the module."""

    db: asyncpg.Connection
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

    async def footprint(self, pid: int) -> Footprint:
        """Return what the session's open transaction has touched so far."""
        rows = await self.db.fetch(_FOOTPRINT, pid)
        return Footprint(
            relations=frozenset(row["relation"] for row in rows if row["relation"]),
            written=frozenset(row["relation"] for row in rows if row["relation"] and row["written"]),
            locked=frozenset(row["relation"] for row in rows if row["relation"] and row["locked"]),
            advisory=frozenset(row["advisory"] for row in rows if not row["relation"]),
        )

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
            looks_at_locks=await self.db.fetchval(_LOOKS_AT_LOCKS),
        )


@contextlib.asynccontextmanager
async def monitoring(database: str) -> AsyncIterator[Monitor]:
    """Watch one database for the length of a block.

    Deadlocks are looked for at once there, where we may say so: then the victim is always the one whose
    wait closed the cycle, and no run has to sit out the usual second.
    """
    db = await connect(database)
    try:
        name = quote_identifier(await db.fetchval("SELECT current_database()"))
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await db.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '1ms'")
        yield Monitor(db)
    finally:
        db.terminate()
