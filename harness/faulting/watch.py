"""The watch: what Postgres says of its sessions, asked by one at a time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from harness.exploring.monitor import Monitor

_PAUSE = 0.001
_BUSY = """
    SELECT concat_ws(' ', 'a session is', state, 'after:', left(query, 80)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend' AND state <> 'idle'
    ORDER BY backend_start
"""


@dataclass(slots=True)
class Watch:
    """A connection of ours to the target's database, for several to use in turn."""

    monitor: Monitor
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def connect_anew(self, database: str) -> None:
        """Go on on another connection, when Postgres was gone for a while."""
        async with self._turn:
            await self.monitor.connect_anew(database)

    async def blocked(self, pid: int, others: Sequence[int]) -> bool:
        """Say whether a session waits for one of the others."""
        async with self._turn:
            return await self.monitor.blocked(pid, others)

    async def written(self, pid: int) -> frozenset[str]:
        """Return the tables that the session's open transaction has written so far."""
        async with self._turn:
            return (await self.monitor.footprint(pid, locks_rows=False)).written

    async def busy(self) -> tuple[str, ...]:
        """Return what the sessions are about that are not idle."""
        async with self._turn:
            rows: Sequence[asyncpg.Record] = await self.monitor.db.fetch(_BUSY)
        return tuple(row[0] for row in rows)

    async def terminate(self, pid: int) -> None:
        """End a backend."""
        async with self._turn:
            await self.monitor.db.execute("SELECT pg_terminate_backend($1)", pid)

    async def gone(self, pids: Sequence[int], *, or_idle: bool, seconds: float) -> bool:
        """Wait until these backends are no more, so long at most, and say whether that is so.

        :param or_idle: it will do if they do nothing.
        """
        there = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ($1::integer[])"
        query = f"{there} AND (NOT $2 OR state <> 'idle'))"
        until = time.monotonic() + seconds
        while await self._ask(query, list(pids), or_idle):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_PAUSE)
        return True

    async def _ask(self, query: str, *arguments: Any) -> bool:
        async with self._turn:
            return bool(await self.monitor.db.fetchval(query, *arguments))
