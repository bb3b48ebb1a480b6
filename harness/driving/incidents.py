"""Trouble between sessions, seen from outside: for engines that cannot see the target's statements.

*Deadlocks* are counted by Postgres itself, in ``pg_stat_database``. A session adds what it has counted
whenever it becomes idle, a moment before it says that it is, and when it ends; except that it does not do
so twice within a second. To be ended for a deadlock takes ``deadlock_timeout``, which is a second as well
unless somebody has changed it. So once the books are quiet, every deadlock of the run is in the count: the
session that was ended has waited long enough to be allowed to add, and no longer says that it is busy.
Where it was late all the same (two sessions came to the counter at the same moment, or the time-out is
shorter), the count is read with a later run, or when all sessions have ended. Whose request Postgres ended
it does not say.

A request is *stuck* when its time was up while sessions waited for a lock of one that had done nothing
about it for most of that time: that is idle, in a transaction or with an advisory lock that outlived its
transaction. A lock whose holder is at work is slow, and nobody is accused of it. Postgres is asked while
the run is under way, since a client that is given up lets go of what it had.

Serialization failures are counted nowhere that tells them from other errors, so they are not watched for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from harness.driving.program import no_answer
from harness.model import Incident, IncidentKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from harness.model import Call

_COUNTS = "SELECT current_setting('track_counts')::boolean"
_DEADLOCKS = "SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database WHERE datname = current_database()"
_SESSIONS = """
    SELECT pid, state = 'active' AS works,
           extract(epoch FROM clock_timestamp() - state_change)::float8 AS since,
           CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS waits_for
    FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_END = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = ANY ($1::int[]) AND datname = current_database() AND wait_event_type = 'Lock'
"""
_LOOKS = 20
"""How often it is looked for stuck sessions before the time of a request is up."""
_MOST_OF = 0.75


@dataclass(frozen=True, slots=True)
class Session:
    """What one session of the database is doing."""

    pid: int
    works: bool
    since: float
    """Seconds for which it has been doing, or not doing, that."""
    waits_for: Sequence[int] = ()
    """The sessions whose locks stand in its way, directly or in the queue before it."""


@dataclass(slots=True)
class Watch:
    """What one check sees of trouble between the sessions of its database."""

    monitor: asyncpg.Connection
    """Of ours, to the same database."""
    timeout: float
    """Seconds after which an answer no longer counts as coming."""
    counts: bool
    """Whether Postgres counts deadlocks here."""
    deadlocks: int = 0
    """How many it had counted when it was last asked."""
    looks: dict[int, frozenset[int]] = field(default_factory=dict)
    """The sessions that were stuck, by when that was seen, in nanoseconds of the monotonic clock."""

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look for stuck sessions for as long as the block runs, in which one run is driven."""
        self.looks.clear()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look(over))
            try:
                yield
            finally:
                over.set()

    async def _look(self, over: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeout / _LOOKS):
                    await over.wait()
                    return
            rows = await self.monitor.fetch(_SESSIONS, timeout=self.timeout)
            sessions = [Session(row["pid"], row["works"], row["since"], row["waits_for"]) for row in rows]
            stuck = stuck_sessions(sessions, since=_MOST_OF * self.timeout)
            if stuck:
                self.looks[time.monotonic_ns()] = stuck

    def stuck(self, history: Iterable[Call]) -> tuple[Incident, ...]:
        """Return whose time was up while sessions were stuck."""
        return tuple(
            Incident(kind=IncidentKind.STUCK, client=call.client)
            for call in history
            if call.answer == no_answer(self.timeout) and self._was_stuck_before(call)
        )

    def _was_stuck_before(self, call: Call) -> bool:
        """Say whether sessions were stuck when it was last looked before the call was given up."""
        given_up = call.invoked + self.timeout * 1e9
        return any(0 <= given_up - seen <= 2 * self.timeout * 1e9 / _LOOKS for seen in self.looks)

    async def end_stuck(self) -> None:
        """End the sessions that were stuck and still wait: their clients have gone, and nobody helps them."""
        pids = list(frozenset().union(*self.looks.values()))
        with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
            await self.monitor.execute(_END, pids)

    async def deadlocks_met(self) -> tuple[Incident, ...]:
        """Return the deadlocks counted since this was last asked, once the books are quiet."""
        return (Incident(kind=IncidentKind.DEADLOCK, client=None),) * await self._more_deadlocks()

    async def _more_deadlocks(self) -> int:
        before, self.deadlocks = self.deadlocks, await _count(self.monitor)
        return self.deadlocks - before


async def watch(monitor: asyncpg.Connection, timeout: float) -> Watch:
    """Return a watch over the monitor's database that begins now.

    :param timeout: seconds after which an answer no longer counts as coming.
    """
    counts: bool = await monitor.fetchval(_COUNTS)
    return Watch(monitor, timeout, counts, await _count(monitor))


def stuck_sessions(sessions: Iterable[Session], *, since: float) -> frozenset[int]:
    """Return the sessions that wait for one, over whatever others, which has been idle for so long.

    :param since: seconds.
    """
    known = {session.pid: session for session in sessions}
    return frozenset(
        pid
        for pid, session in known.items()
        if session.waits_for
        and any(not root.works and root.since >= since for root in _before(session, known))
    )


def _before(session: Session, known: Mapping[int, Session]) -> Iterable[Session]:
    """Yield every session that one waits for, directly or over others."""
    seen: set[int] = set()
    todo = list(session.waits_for)
    while todo:
        pid = todo.pop()
        if pid not in seen and pid in known:
            seen.add(pid)
            yield known[pid]
            todo += known[pid].waits_for


async def _count(monitor: asyncpg.Connection) -> int:
    count: int = await monitor.fetchval(_DEADLOCKS)
    return count
