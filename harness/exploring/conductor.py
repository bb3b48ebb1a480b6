"""The conductor of one run: lets one client go at a time, and watches what it does until it stops.

Theory of operation. Every statement and every commit of the target comes to a halt in the proxy. While all
others stand still, whatever arrives belongs to the client that was let go, whichever pooled connection
carries it: so requests are told apart, not connections. A client that was let go ends up in one of four
ways, and the conductor waits until it knows which:

* it stands at its next point (several, when its request runs statements in parallel);
* its operation is done;
* Postgres says that its statement waits for a lock: the others go on, and when somebody lets go of that lock
  the statement finishes by itself, as a step of its own that nobody chose. Among several that wait for one
  row Postgres does not always let the first go first; a run in which somebody was overtaken says so and is
  run again, since the same thing is seen where the two stand in line the other way round;
* nothing arrives and nothing runs: it waits outside Postgres, for a lock in the application, a full pool, a
  queue. The others go on too, and the run notes that something happened that cannot be seen.

What arrives while nobody is under way belongs to no request: it is the application's own, and passes, then
and later. A request may send several statements at once, on connections of their own; so after the first has
arrived the others are given a moment, longer ones while it is not known whether any request does that.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from harness.driving.gate import OpenGate
from harness.driving.program import Patience, drive_program
from harness.errors import InconclusiveError
from harness.exploring.conflicts import Isolation
from harness.exploring.events import (
    NOTHING,
    Event,
    Footprint,
    StepKind,
    Trace,
    Transaction,
    without_constants,
)
from harness.exploring.monitor import asks_for_row_locks
from harness.model import Incident, IncidentKind, Outcome
from harness.wire import PROCEED, Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from harness.driving.program import Recorder
    from harness.exploring.monitor import Monitor
    from harness.model import Call, Client, Program
    from harness.wire import Decision, Result, SessionInfo, Statement

_LOOKS_AT_LOCKS = re.compile(r"skip\s+locked|nowait|pg_try_advisory|lock_timeout", re.IGNORECASE)
_SHORT = 500
"""Characters of a statement that may set an isolation level."""
_FIRST_LOOK = 0.001
"""Seconds without news after which Postgres is asked whether a statement waits."""
_EAGER = 4
"""How often Postgres is asked without a pause, where a statement is likely to wait for somebody."""
_DEADLOCK_LOOKED_FOR = 0.002
"""Seconds in which a session that waits has looked for a deadlock, once; see the monitor."""
_ANYTHING = Footprint(everything=True)
_NOT_RECORDED = -1
_INCIDENTS = {"40P01": IncidentKind.DEADLOCK, "40001": IncidentKind.SERIALIZATION}


class DivergedError(InconclusiveError):
    """A schedule could not be followed: the target did something else than when it was recorded."""


class StuckError(Exception):
    """Nobody can go on, and nobody is done. Handled by the engine, never seen by a person."""


@dataclass(slots=True, eq=False)
class _Point:
    """A statement or a commit that waits in the proxy."""

    statement: Statement
    commits: bool
    go: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Session:
    """A session of the target, and whose work it carries."""

    info: SessionInfo
    owner: _Actor | None = None
    running: Statement | None = None
    """The statement that was let through and has neither finished nor failed."""
    executed: bool = False
    """It has run, and the step that let it run is over."""
    failed: bool = False
    open: bool = False
    """A transaction is open on it: explicit, or one that its Sync has yet to commit."""
    footprint: Footprint = NOTHING
    looked: bool = False
    """A statement has run in the open transaction, so its snapshot may have been taken."""
    locks_rows: bool = False
    """A statement of the open transaction asks for row locks in so many words."""
    held: frozenset[str] = frozenset()
    """Advisory locks it held after its last step."""


@dataclass(slots=True, eq=False)
class _Actor:
    """A client: its request as it runs through the target."""

    name: str
    program: Program
    client: Client
    points: list[_Point] = field(default_factory=list)
    task: asyncio.Task[bool] | None = None
    transactions: int = 0
    asked: int = 0
    """Statements of the operation that is under way."""
    waiting: _Session | None = None
    """The session on which it waits for a lock."""
    outside: bool = False
    """It waits for something that is not in Postgres."""

    @property
    def done(self) -> bool:
        return self.task is not None and self.task.done()

    @property
    def fresh(self) -> bool:
        return self.task is None

    @property
    def usable(self) -> bool:
        if self.task is None:
            return True
        return self.task.done() and not self.task.cancelled() and self.task.result()

    @property
    def can_go(self) -> bool:
        return self.fresh or bool(self.points)

    @property
    def has_waited(self) -> bool:
        """Whether what it waited for is over, and nobody has taken note of that yet."""
        return self.waiting is not None and (self.waiting.running is None or self.waiting.executed)

    @property
    def transaction(self) -> Transaction:
        return Transaction(self.name, self.transactions)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for what, in seconds."""

    statement: float = 10.0
    """For a statement to finish or to be seen waiting, and for anybody to go on when all wait."""
    company: float = 0.0
    """For more statements of a request that has stopped at one, if it may send several at once."""
    outside: float = 1.0
    """For a request to send its next statement; after that it waits for something outside Postgres."""


@dataclass(slots=True)
class Memory:
    """What is known of a target's sessions from the runs before."""

    homes: dict[int, str] = field(default_factory=dict)
    """By session: the client that it served last."""
    background: set[str] = field(default_factory=set)
    """Statements of the application's own, without constants."""
    fans_out: bool = False
    """Some request sends several statements at once."""


class Conductor:
    """Controls the sessions of one run. Also a :class:`harness.wire.Controller`."""

    def __init__(
        self,
        monitor: Monitor,
        sessions: Sequence[SessionInfo],
        limits: Limits,
        memory: Memory,
        isolation: Isolation,
    ) -> None:
        """Make a conductor for one run.

        :param sessions: those that are open.
        :param memory: kept over all runs.
        :param isolation: the level of transactions that name none.
        """
        self._monitor = monitor
        self._memory = memory
        self._limits = limits
        self._sessions = {info.id: _Session(info) for info in sessions}
        self._actors: list[_Actor] = []
        self._current: _Actor | None = None
        self._changed = asyncio.Event()
        self._events: list[Event] = []
        self._enabled: list[frozenset[str]] = []
        self._fresh: list[frozenset[str]] = []
        self._chosen: list[str] = []
        self._waiting_since: dict[str, int] = {}
        """By client: its step that waits, or did so last."""
        self._recording = True
        self.outside = False
        """Whether a request was seen waiting outside Postgres."""
        self.isolation = isolation
        """The strongest level that any transaction was seen to use."""
        self.overtaken = False
        """Whether a client went on before one that stood before it in the line for a lock."""
        self.unordered = False
        """Whether luck chose who went first: among several that waited for one thing, or in one request."""
        self.commits = 0
        """How many commits somebody was shown."""
        self._showing = False
        self._shown = 0
        self.coarse = 0
        """Statements that could only be held together with others or with their commit."""
        self.silent = 0
        """Answers given without a look at the database, so that nothing says when they were true."""
        self.incidents: list[Incident] = []
        """What laws are judged on, in the order in which it happened."""

    # What the engine asks for.

    async def run(
        self,
        programs: Sequence[tuple[Program, Client]],
        sale: Any,
        *,
        phase: int,
        recorder: Recorder,
        choose: Callable[[frozenset[str], frozenset[str], Sequence[Event]], str | None],
        committed: Callable[[], Awaitable[None]],
    ) -> None:
        """Run the programs, letting ``choose`` say who goes next among those who can.

        :param choose: given who can go, who has not begun, and the steps of the choice before; ``None``
            ends the run's recording, and the rest is run in any order.
        :param committed: awaited after every commit, while everybody stands still.
        :raises StuckError: when nobody can go on within the limit, and somebody is not done.
        :raises DivergedError: when ``choose`` names a client that cannot go.
        """
        self._actors = [_Actor(program.client, program, client) for program, client in programs]
        patience = Patience(timeout=3600)
        try:
            while True:
                able = await self._able()
                if not able:
                    return
                fresh = frozenset(actor.name for actor in self._actors if actor.fresh)
                name = choose(frozenset(able), fresh, self._last_steps()) if self._recording else None
                if name is None:
                    self._recording = False
                elif name not in able:
                    raise DivergedError(f"{name} was to go next but could not; {', '.join(able)} could")
                actor = able[name or min(able)]
                if self._recording:
                    self._enabled.append(frozenset(able))
                    self._fresh.append(fresh)
                    self._chosen.append(actor.name)
                if actor.fresh:
                    await self._start(actor, sale, phase, recorder, patience)
                else:
                    await self._let_through(actor)
                await self._resume_others()
                await self._show_commit(committed)
        finally:
            await self._stop()

    @property
    def has_shown_all(self) -> bool:
        """Whether nothing has happened since somebody was last shown a commit, as far as it can be seen."""
        blind = self.outside or bool(self._memory.background)
        return 0 < self._shown == len(self._events) and not blind

    @property
    def usable(self) -> list[bool]:
        """Whether each client's connection can be used again, in the order of the programs."""
        return [actor.usable for actor in self._actors]

    async def _show_commit(self, committed: Callable[[], Awaitable[None]]) -> None:
        """Let somebody look at what a step has published, if it has."""
        step = next((event for event in reversed(self._events) if event.kind is not StepKind.RESUME), None)
        publishes = step is not None and step.kind in (StepKind.COMMIT, StepKind.WHOLE) and not step.failed
        if publishes and not any(actor.outside for actor in self._actors):
            self.commits += 1
            self._showing = True
            try:
                await committed()
            finally:
                self._showing = False
            self._shown = len(self._events)

    def trace(self) -> Trace:
        """Return what was recorded."""
        return Trace(
            events=tuple(self._events[: self._recorded]),
            enabled=tuple(self._enabled),
            chosen=tuple(self._chosen),
            fresh=tuple(self._fresh),
            complete=self._recording,
        )

    # What the proxy tells.

    def session_opened(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        self._sessions[session.id] = _Session(session)

    async def before_execute(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._hold(statement, commits=False)

    async def before_commit(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._hold(statement, commits=True)

    def executed(self, statement: Statement, result: Result) -> None:
        """See :class:`harness.wire.Controller`."""
        session = self._sessions[statement.session]
        if session.running is not None and session.running.number == statement.number:
            session.executed = True
            if result.failed:
                self._note(session, result)
            session.failed = session.failed or result.failed
        self._changed.set()

    def finished(self, statement: Statement, result: Result) -> None:
        """See :class:`harness.wire.Controller`."""
        session = self._sessions[statement.session]
        session.executed = True
        if result.failed and not session.failed:
            self._note(session, result)
        session.failed = session.failed or result.failed
        self.isolation = max(self.isolation, _isolation_in(statement.sql))
        was_open, session.open = session.open, result.status in ("T", "E")
        if session.open and not was_open and session.running is None:
            # A BEGIN, which is no point: nothing can tell yet when it happened.
            session.owner, session.footprint = self._whose(session), NOTHING
            session.looked = session.locks_rows = False
            if session.owner is not None:
                session.owner.transactions += 1
        session.running = None
        self._changed.set()

    def session_closed(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        gone = self._sessions.pop(session.id, None)
        if gone is not None:
            gone.running = None
        self._changed.set()

    def _note(self, session: _Session, result: Result) -> None:
        """Keep what laws are judged on: deadlocks and serialization failures."""
        kind = _INCIDENTS.get(result.sqlstate or "")
        if kind is not None and session.owner is not None:
            self.incidents.append(Incident(kind=kind, client=session.owner.name))

    async def _hold(self, statement: Statement, *, commits: bool) -> Decision:
        """Keep a point until its client's turn; what belongs to no client passes."""
        session = self._sessions[statement.session]
        if self._showing:
            return PROCEED  # It is we who look.
        if session.open or commits:
            owner = session.owner
        elif without_constants(statement.sql) in self._memory.background:
            owner = None
        else:
            owner = self._whose(session)
            if owner is None:
                self._memory.background.add(without_constants(statement.sql))
        session.owner = owner
        if owner is None:
            return PROCEED
        if owner.points:
            # Which of them goes first is not chosen, so not every order will be seen.
            self._memory.fans_out = self.unordered = True
        point = _Point(statement, commits, asyncio.get_running_loop().create_future())
        owner.points.append(point)
        owner.asked += 1
        owner.outside = False
        self._changed.set()
        await point.go
        return PROCEED

    def _whose(self, session: _Session) -> _Actor | None:
        """Return the client whose request sends on a session at rest."""
        resumed = [actor for actor in self._actors if actor.has_waited and not actor.done]
        under_way = [self._current] if self._current is not None and not self._current.done else []
        under_way += [actor for actor in resumed if actor is not self._current]
        under_way += [actor for actor in self._actors if actor.outside and not actor.done]
        if not under_way:
            return None
        # Whose statement had waited here goes on here, be that noticed or not.
        here = next((actor for actor in resumed if actor.waiting is session), None)
        if here is not None:
            return here
        # Only where somebody waits outside, or goes on unnoticed, can several be meant. Then a
        # connection that has served one client is taken to be that client's own.
        home = self._memory.homes.get(session.info.id)
        owner = next((actor for actor in under_way if actor.name == home), under_way[0])
        self._memory.homes[session.info.id] = owner.name
        return owner

    # One step.

    async def _start(
        self, actor: _Actor, sale: Any, phase: int, recorder: Recorder, patience: Patience
    ) -> None:
        def answered(call: Call) -> None:
            # A refusal of what makes no sense is true at any time.
            self.silent += not actor.asked and call.outcome is not Outcome.INVALID
            actor.asked = 0

        gate = OpenGate()
        actor.task = asyncio.create_task(
            drive_program(
                actor.client,
                sale,
                actor.program,
                phase=phase,
                recorder=recorder,
                gate=gate,
                patience=patience,
                answered=answered,
            )
        )
        actor.task.add_done_callback(lambda _: self._changed.set())
        self._record(actor, StepKind.START, "start", NOTHING)
        await self._settle(actor)

    async def _let_through(self, actor: _Actor) -> None:
        # Which of several statements arrives first is luck; which goes first must not be.
        point = min(actor.points, key=lambda each: without_constants(each.statement.sql))
        actor.points.remove(point)
        session = self._sessions.get(point.statement.session)
        if session is None:
            point.go.set_result(None)
            await self._settle(actor)
            return
        kind = _kind(point)
        # A snapshot taken by the first of several statements is a look at whatever the later ones read.
        looks_ahead = session.open and not session.looked and self.isolation > Isolation.READ_COMMITTED
        if not session.open and not point.commits:
            actor.transactions += 1
            session.footprint, session.locks_rows = NOTHING, False
        session.looked = True
        session.locks_rows = session.locks_rows or asks_for_row_locks(point.statement.sql)
        session.running, session.executed, session.failed = point.statement, False, False
        session.open = True
        self.coarse += point.statement.coarse
        point.go.set_result(None)
        place = len(self._events)
        self._record(actor, kind, _label(point), session.footprint)
        await self._settle(actor)
        if actor.waiting is session:
            self._waiting_since[actor.name] = place
            footprint = await self._look(session)
            self._events[place] = replace(
                self._events[place],
                footprint=_merge(session, footprint),
                waited_for=await self._blockers(session),
            )
            return
        await self._finish(place, session, point)
        if looks_ahead:
            event = self._events[place]
            self._events[place] = replace(event, footprint=replace(event.footprint, everything=True))
        await self._end_of_reading(actor, session)

    async def _end_of_reading(self, actor: _Actor, session: _Session) -> None:
        """Let the commit of a statement pass that has only read: it publishes nothing and frees nobody.

        Under SERIALIZABLE it may decide which of several transactions fails, and is held.
        """
        commit = next((point for point in actor.points if point.commits), None)
        seen = session.footprint
        left_nothing = not (seen.everything or seen.written or seen.locked or seen.advisory)
        if (
            commit is None
            or len(actor.points) > 1
            or session.failed
            or not left_nothing
            or self.isolation is Isolation.SERIALIZABLE
        ):
            return
        actor.points.clear()
        session.running, session.executed = commit.statement, False
        commit.go.set_result(None)
        await self._settle(actor)

    async def _finish(self, place: int, session: _Session, point: _Point) -> None:
        """Complete the record of a step whose statement, or commit, is over."""
        # Once it is over, the session may have gone on to the BEGIN of its next transaction.
        before = self._events[place].footprint
        if point.commits or _kind(point) in (StepKind.COMMIT, StepKind.ROLLBACK):
            footprint = before
        elif session.failed:
            # Its locks are gone, so what it looked at is not known; what was written before is undone.
            footprint = replace(before, everything=True)
        elif session.open:
            session.footprint = footprint = _merge(session, await self._look(session))
        else:
            # Execution and commit could not be held apart, so nothing of it was seen.
            footprint = _ANYTHING
            self._events[place] = replace(self._events[place], kind=StepKind.WHOLE)
        sensitive = bool(_LOOKS_AT_LOCKS.search(point.statement.sql))
        self._events[place] = replace(
            self._events[place],
            footprint=_ANYTHING if sensitive and not footprint.relations else footprint,
            failed=session.failed,
            lock_sensitive=sensitive,
        )

    async def _resume_others(self) -> None:
        """See who was waiting for a lock and goes on now, until nobody does any more."""
        again = True
        while again:
            again = False
            for other in self._actors:
                session = other.waiting
                if session is not None and await self._free(session) and await self._resume(other, session):
                    again = True
                    await self._look_at_line(other)

    async def _look_at_line(self, resumed: _Actor) -> None:
        """See whether others now wait for a client that has just gone on, without having stood behind it.

        They and it had waited for the same thing in no order, as two do who want the same unique key.
        """
        for other in self._actors:
            if other.waiting is None:
                continue
            place = self._waiting_since[other.name]
            line = self._events[place].waited_for
            now = await self._blockers(other.waiting)
            if any(each.client == resumed.name for each in now - line):
                self.unordered = True
            self._events[place] = replace(self._events[place], waited_for=line | now)

    async def _resume(self, actor: _Actor, session: _Session) -> bool:
        """Follow a client that seems to wait no longer, and say whether that was so.

        Between two locks of one queue a session waits for nothing for a moment: then it has not resumed.
        """
        since = self._waiting_since[actor.name]
        actor.waiting = None
        await self._settle(actor)
        if actor.waiting is not None:
            self._waiting_since[actor.name] = since
            return False
        waited = self._events[since]
        line = {transaction.client for transaction in waited.waited_for}
        if any(other.name in line and other.waiting is not None for other in self._actors):
            self.overtaken, self._recording = True, False
        footprint = replace(session.footprint, everything=True)
        if not session.failed and session.open:
            session.footprint = footprint = _merge(session, await self._look(session))
        self._record(actor, StepKind.RESUME, waited.label, footprint)
        self._events[-1] = replace(self._events[-1], failed=session.failed)
        await self._end_of_reading(actor, session)
        return True

    async def _look(self, session: _Session) -> Footprint:
        """Return what the session's open transaction has touched so far."""
        return await self._monitor.footprint(session.info.pid, locks_rows=session.locks_rows)

    async def _free(self, session: _Session) -> bool:
        """Say whether a session that waited for a lock does not any more."""
        if session.executed or session.running is None:
            return True
        return not await self._monitor.blocked(session.info.pid, self._pids())

    # Waiting.

    async def _able(self) -> dict[str, _Actor]:
        """Return who can go, by name; empty when everybody is done.

        When all wait, Postgres may yet break a deadlock, or the application go on by itself.
        """
        waited = 0.0
        pause = _FIRST_LOOK
        while True:
            able = {actor.name: actor for actor in self._actors if actor.can_go}
            if able or all(actor.done for actor in self._actors):
                return able
            if waited > self._limits.statement:
                self._stuck()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            waited += pause
            pause = min(pause * 2, 0.05)
            await self._resume_others()

    async def _settle(self, actor: _Actor) -> None:
        """Wait until it is known what became of a client that was let go."""
        self._current = actor
        await self._stopped(actor)
        if actor.points and not actor.points[0].commits and self._limits.company:
            await asyncio.sleep(self._limits.company)
        self._current = None

    async def _stopped(self, actor: _Actor) -> None:
        """Wait until a client asks for its next step, is done or waits.

        Who is told before the commit is done while that runs, and it is not over before.
        """
        quiet = 0.0
        pause = _FIRST_LOOK
        eager = _EAGER
        while not actor.points and not (actor.done and self._under_way(actor) is None):
            session = self._under_way(actor)
            if eager and session is not None and self._likely_to_wait(session):
                eager -= 1
            else:
                if await self._news(pause):
                    continue
                quiet += pause
                pause = min(pause * 2, 0.05)
                session = self._under_way(actor)
            if session is not None:
                if await self._waits(session):
                    actor.waiting = session
                    self._waiting_since[actor.name] = len(self._events) - 1
                    return
                if quiet > self._limits.statement:
                    self._stuck()
            elif quiet > self._limits.outside:
                actor.outside = self.outside = True
                return

    async def _news(self, pause: float) -> bool:
        """Wait until something happens, so many seconds at most; say whether it did."""
        self._changed.clear()
        try:
            async with asyncio.timeout(pause):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _likely_to_wait(self, session: _Session) -> bool:
        """Say whether somebody else holds what a session could have to wait for."""
        return any(
            other.held or (other.open and other.footprint.written)
            for other in self._sessions.values()
            if other is not session
        )

    async def _waits(self, session: _Session) -> bool:
        """Say whether a session waits for a lock, and will until somebody else is let go."""
        if not await self._monitor.blocked(session.info.pid, self._pids()):
            return False
        if await self._closes_cycle(session):
            await asyncio.sleep(_DEADLOCK_LOOKED_FOR)
        return session.running is not None and not session.executed

    async def _closes_cycle(self, session: _Session) -> bool:
        """Say whether a session may wait in a circle: only if somebody it waits for is not at rest."""
        pids = set(await self._monitor.blockers(session.info.pid))
        resting = {
            other.info.pid
            for other in self._sessions.values()
            if other.owner is not None and (other.running is None or other.executed)
        }
        return not pids <= resting

    def _under_way(self, actor: _Actor) -> _Session | None:
        """Return the session on which a statement of this client runs in Postgres."""
        for session in self._sessions.values():
            if session.owner is actor and session.running is not None and not session.executed:
                return session
        return None

    async def _stop(self) -> None:
        """Let everything go, and end what has not ended."""
        for actor in self._actors:
            for point in actor.points:
                if not point.go.done():
                    point.go.set_result(None)
            actor.points.clear()
        tasks = [actor.task for actor in self._actors if actor.task is not None and not actor.task.done()]
        for actor in self._actors:
            if actor.task is not None and not actor.task.done():
                actor.client.abandon()
                actor.task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)

    def _stuck(self) -> NoReturn:
        for actor in self._actors:
            if actor.task is not None and not actor.done:
                self.incidents.append(Incident(kind=IncidentKind.STUCK, client=actor.name))
        raise StuckError

    # Recording.

    def _record(self, actor: _Actor, kind: StepKind, label: str, footprint: Footprint) -> None:
        self._events.append(
            Event(
                client=actor.name,
                kind=kind,
                label=label,
                transaction=actor.transaction,
                footprint=footprint,
                decision=len(self._chosen) - 1 if self._recording else _NOT_RECORDED,
            )
        )

    @property
    def _recorded(self) -> int:
        """How many events belong to choices that were recorded."""
        return sum(event.decision >= 0 for event in self._events)

    def _last_steps(self) -> Sequence[Event]:
        last = len(self._chosen) - 1
        return [event for event in self._events if event.decision == last] if last >= 0 else []

    def _pids(self) -> list[int]:
        return [session.info.pid for session in self._sessions.values()]

    async def _blockers(self, session: _Session) -> frozenset[Transaction]:
        """Return the transactions that a session waits for."""
        pids = set(await self._monitor.blockers(session.info.pid))
        return frozenset(
            other.owner.transaction
            for other in self._sessions.values()
            if other.info.pid in pids and other.owner is not None
        )


def _isolation_in(sql: str) -> Isolation:
    """Return the strongest isolation level that a statement speaks of."""
    words = " ".join(sql.lower().split()) if len(sql) < _SHORT else ""
    if "serializable" in words:
        return Isolation.SERIALIZABLE
    return Isolation.REPEATABLE_READ if "repeatable read" in words else Isolation.READ_COMMITTED


def _kind(point: _Point) -> StepKind:
    if point.commits or point.statement.kind is Kind.COMMIT:
        return StepKind.COMMIT
    if point.statement.kind in (Kind.ROLLBACK, Kind.SAVEPOINT):
        return StepKind.ROLLBACK
    return StepKind.EXECUTE


def _label(point: _Point) -> str:
    return f"commit of: {_text(point.statement)}" if point.commits else _text(point.statement)


def _text(statement: Statement) -> str:
    return " ".join(statement.sql.split())[:200]


def _merge(session: _Session, now: Footprint) -> Footprint:
    """Return what was seen, with the advisory locks that the step itself let go of."""
    before, session.held = session.held, now.advisory
    return replace(now, advisory=now.advisory | before)
