"""The faults at Postgres that take more than a decision about the step."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.faulting.fault import Anywhere, Place, Turn
from harness.faulting.steps import moment
from harness.postgres import connect
from harness.wire import CUT, PROCEED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from harness.faulting.fault import Ground, Situation
    from harness.faulting.steps import SeenStep
    from harness.postgres.embedded import Postmaster
    from harness.wire import Decision

_LOCKED_FOR = 1.0
"""Seconds for which somebody holds rows that others wait for."""
_SEEN_TO_WAIT = 5.0
"""Seconds in which a step either waits for these rows or is done."""
_GONE_FOR = 2.0
"""Seconds in which the stranger's backend is gone."""
_PAUSE = 0.002

_TABLES = """
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
      AND has_table_privilege(c.oid, 'SELECT, UPDATE')
    ORDER BY c.oid
"""
_LOCK = "SELECT count(*) FROM (SELECT FROM {} FOR UPDATE SKIP LOCKED) AS locked"


@dataclass(frozen=True, slots=True)
class RowsLocked(Anywhere):
    """Somebody who buys nothing holds row locks on everything there is for a while: a report, a repair."""

    name: str = "rows locked"
    turn: Turn = Turn.LAST

    def applies(self, step: SeenStep) -> bool:
        """Need a statement that may have to wait: others only read what was committed."""
        return not step.commits and (step.writes or step.locks or step.calls)

    def tell(self, step: str, *, commits: bool) -> str:  # noqa: ARG002  # never a commit
        """See :class:`~harness.faulting.fault.Fault`."""
        return f"somebody else held row locks for {_LOCKED_FOR:g} s from before {step} on"

    async def fire(self, situation: Situation) -> Decision:
        """Lock what nobody has locked, and let the step run into it."""
        stranger = await _stranger(situation.database)
        trusted = situation.distrust()

        def leave() -> None:
            stranger.terminate()
            trusted()

        situation.later(_hold(situation, stranger), leave)
        return PROCEED


@dataclass(frozen=True, slots=True, kw_only=True)
class WentDown(Anywhere):
    """Postgres goes down at this step and comes back on the same address, with what was committed."""

    name: str
    how: Callable[[Postmaster], Awaitable[None]]
    words: str
    """With ``{}`` for the step."""
    turn: Turn = Turn.LAST
    place: Place = Place.OWN_SERVER

    def impossible(self, ground: Ground) -> str | None:
        """Need a server that is nobody else's."""
        if ground.own_server:
            return None
        return "Postgres crashed and restarted: there is no embedded server for it here, or it was left out"

    def applies(self, step: SeenStep) -> bool:
        """Need something that may be lost: before a mere read nothing is on its way."""
        return step.commits or step.in_transaction or step.writes or step.calls

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        return self.words.format(moment(step, commits=commits))

    async def fire(self, situation: Situation) -> Decision:
        """Go down and come back: what stood at the step never happens."""
        await situation.fall(self.how)
        return CUT


@dataclass(frozen=True, slots=True)
class Pooled(Anywhere):
    """Behind a pooler a request goes on in another session, and while it does others have the one it had."""

    name: str = "pooled"
    turn: Turn = Turn.LAST
    place: Place = Place.POOLED

    def impossible(self, ground: Ground) -> str | None:
        """Need a pooler."""
        if ground.pooler:
            return None
        return f"{self.name}: there is no pgbouncer in PATH or /usr/sbin (apt install pgbouncer)"

    def tell(self, step: str, *, commits: bool) -> str:
        """See :class:`~harness.faulting.fault.Fault`."""
        what = moment(step, commits=commits)
        return f"a pooler had moved it to another session, and others into its own before {what},"

    async def fire(self, situation: Situation) -> Decision:
        """Let others go on in the session that it was in."""
        await situation.others(())
        return PROCEED


async def _stranger(database: str) -> asyncpg.Connection:
    """Return a connection in whose transaction all rows are locked that nobody else has locked."""
    db = await connect(database)
    try:
        await db.execute("BEGIN")
        for (table,) in await db.fetch(_TABLES):
            await db.execute(_LOCK.format(table))
    except BaseException:
        db.terminate()
        raise
    return db


async def _hold(situation: Situation, stranger: asyncpg.Connection) -> None:
    """Let the stranger stay for as long as it matters, and wait until the rows are free."""
    pid = stranger.get_server_pid()
    await _wait(situation, pid)
    stranger.terminate()
    await situation.watch.gone([pid], or_idle=False, seconds=_GONE_FOR)


async def _wait(situation: Situation, stranger: int) -> None:
    """Where the step waits for the stranger, let others wait as well, and the time pass."""
    begun = time.monotonic()
    while not await situation.watch.blocked(situation.step.pid, [stranger]):
        if situation.done() or time.monotonic() > begun + _SEEN_TO_WAIT:
            return
        await asyncio.sleep(_PAUSE)
    await situation.others([stranger])
    await asyncio.sleep(max(0.0, begun + _LOCKED_FOR - time.monotonic()))
