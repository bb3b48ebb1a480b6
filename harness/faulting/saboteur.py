"""The saboteur: a controller of the proxy that lets requests run, and fires a fault where one is planned.

Requests run one after another, so what arrives while one is under way belongs to it, whichever pooled
connection carries it. Where a fault lets others run while one stands still, a session that has served
somebody who is still under way is taken to be theirs. What arrives while nobody is under way is the
application's own.

Behind a pooler sessions are nobody's: one is a request's for as long as its transaction lasts. What begins is
that of the last request that does not stand still. Where a fault is planned, its transaction comes in another
session than those before it: see :mod:`harness.faulting.pooling`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.faulting.pooling import BEGIN, ROLLBACK
from harness.faulting.steps import shape_of, step_of
from harness.wire import CUT, PROCEED, Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from harness.faulting.pooling import Pooling
    from harness.faulting.steps import Request, RequestId, SeenStep
    from harness.faulting.watch import Watch
    from harness.model import Injection
    from harness.wire import Decision, Result, SessionInfo, Statement

    Fire = Callable[[Injection, Request, SeenStep], Awaitable[Decision]]


@dataclass(slots=True)
class Saboteur:
    """See the module. Also a :class:`harness.wire.Controller`."""

    watch: Watch
    plan: Mapping[tuple[RequestId, int], Injection]
    """By request and number of the step."""
    fire: Fire
    background: set[str]
    """Statements of the application's own, without constants."""
    learns: bool = False
    """What arrives while nobody is under way is kept as the application's own."""
    ours: int = 0
    """How many things of our own are going on: reading the books, connecting. What arrives then is that."""
    looks: bool = False
    """It is worth while to see which steps write."""
    pooling: Pooling | None = None
    """Sessions are a pooler's."""
    moves: frozenset[tuple[RequestId, int]] = frozenset()
    """Steps, first of their transactions, that are to come in another session than the step before."""
    requests: list[Request] = field(default_factory=list)
    """Those under way, the last one begun last."""
    steps: list[tuple[Request, SeenStep]] = field(default_factory=list)
    """Everything that was done, in order."""
    fired: list[Injection] = field(default_factory=list)
    pids: dict[int, int] = field(default_factory=dict)
    """By session that is open."""
    running: dict[int, SeenStep] = field(default_factory=dict)
    """By session on which a statement runs, or commits."""
    broken: set[int] = field(default_factory=set)
    """Backends whose connection a fault broke."""
    _homes: dict[int, Request] = field(default_factory=dict)
    _inside: set[int] = field(default_factory=set)
    """Sessions in a transaction of which there was a step."""
    _strangers: set[int] = field(default_factory=set)
    """Sessions that a stranger is in."""
    _mover: Request | None = None
    """It is to go on in another session, and has not yet."""
    _written: dict[int, frozenset[str]] = field(default_factory=dict)
    _before: dict[int, SeenStep] = field(default_factory=dict)
    """By session: its step before this one."""

    def know(self, sessions: Iterable[SessionInfo]) -> None:
        """Take note of the sessions that are open."""
        self.pids |= {session.id: session.pid for session in sessions}

    # What the proxy tells.

    def session_opened(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        self.pids[session.id] = session.pid

    def session_closed(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        self.pids.pop(session.id, None)
        self.running.pop(session.id, None)
        self._homes.pop(session.id, None)
        self._inside.discard(session.id)

    async def before_execute(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._reached(statement, commits=False)

    async def before_commit(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._reached(statement, commits=True)

    def executed(self, statement: Statement, result: Result) -> None:
        """See :class:`harness.wire.Controller`."""
        step = self.running.pop(statement.session, None)
        if step is not None:
            step.failed = result.failed

    def finished(self, statement: Statement, result: Result) -> None:
        """See :class:`harness.wire.Controller`."""
        self.executed(statement, result)
        if statement.sql == BEGIN:
            self._strangers.add(statement.session)
        if result.status != "I":
            return
        self._strangers.discard(statement.session)
        self._inside.discard(statement.session)
        if self.pooling is not None:
            self._session_is_free(statement.session)

    def begun(self, request: Request) -> None:
        """Take note of a request that is about to be sent."""
        self.requests.append(request)
        self._may_move(request)

    async def ended(self, request: Request) -> None:
        """Take note that nothing more is to be expected of a request."""
        self.requests.remove(request)
        if self._mover is request:
            await self._stay()

    async def _reached(self, statement: Statement, *, commits: bool) -> Decision:
        request = self._whose(statement, commits=commits)
        if request is None:
            return PROCEED
        if request.dead:
            return CUT  # Another connection of somebody who has died.
        self._homes[statement.session] = request
        step = step_of(
            statement,
            number=len(request.steps) + 1,
            pid=self.pids[statement.session],
            commits=commits,
            begins=not commits and statement.session not in self._inside,
        )
        self._inside.add(statement.session)
        request.steps.append(step)
        self.steps.append((request, step))
        if self.looks:
            await self._look(step)
        await self._has_moved(request)
        decision = await self._decision(request, step)
        self.running[statement.session] = step
        return decision

    def _whose(self, statement: Statement, *, commits: bool) -> Request | None:
        """Return the request that a step belongs to; ``None`` for the application's own."""
        home = self._homes.get(statement.session)
        if home in self.requests and (commits or statement.in_transaction):
            return home
        if self.ours or statement.sql in (BEGIN, ROLLBACK):
            return None
        shape = shape_of(statement.sql)
        if not self.requests:
            if self.learns:
                self.background.add(shape)
            return None
        if shape in self.background:
            return None
        if home in self.requests:
            return home
        awake = [request for request in self.requests if not request.held]
        return (awake or self.requests)[-1] if self.pooling is not None else self.requests[-1]

    async def _decision(self, request: Request, step: SeenStep) -> Decision:
        injection = self.plan.get((request.id, step.number))
        if injection is None or request.held:
            return PROCEED
        if (injection.shape, injection.commits) != (step.shape, step.commits):
            return PROCEED  # Something else came, and the fault does not fire.
        if self.pooling is not None and not request.moved:
            return PROCEED  # It had left the target before, together with something else.
        # In a task of its own: when the session ends meanwhile the proxy asks no more, and the fault goes on.
        request.held = request.broken = True
        request.firing = asyncio.ensure_future(self._fire(injection, request, step))
        return await asyncio.shield(request.firing)

    async def _fire(self, injection: Injection, request: Request, step: SeenStep) -> Decision:
        try:
            decision = await self.fire(injection, request, step)
        finally:
            request.held = False
        self.fired.append(injection)
        if decision.action in (Action.CUT, Action.CUT_AFTER):
            request.cut = True
            self.broken.add(step.pid)
        return decision

    # Behind a pooler.

    def _session_is_free(self, session: int) -> None:
        """Go by a transaction's end: what comes next from the same request may have to move."""
        request = self._homes.pop(session, None)
        if self._mover is not None and request is None:
            self._move(self._mover)  # What is no step came in between, and the step is still to come.
        elif request in self.requests:
            self._may_move(request)

    def _may_move(self, request: Request) -> None:
        if self.pooling is not None and (request.id, len(request.steps) + 1) in self.moves:
            self._mover = request
            self._move(request)

    def _move(self, request: Request) -> None:
        """Have somebody else be in the session that the request was in when it sends what comes next."""
        if self.pooling is not None:
            self.pooling.gate.hold(self.pooling.take)
            request.moved = True

    async def _has_moved(self, request: Request) -> None:
        """Let the strangers go, now that the request is in a session; note whether it is another one."""
        if self._mover is not request:
            return
        before = request.steps[-2].session if len(request.steps) > 1 else None
        request.moved = bool(self._strangers) and (before is None or before in self._strangers)
        await self._stay()

    async def _stay(self) -> None:
        """Let sessions be handed out as they come."""
        self._mover = None
        if self.pooling is not None:
            self.pooling.gate.open()
            await self.pooling.leave()

    async def _look(self, step: SeenStep) -> None:
        """See what the session has written by now: then the statement before this one did."""
        inside = step.commits or step.in_transaction
        written = await self.watch.written(step.pid) if inside else frozenset()
        last = self._before.get(step.session)
        # Postgres locks what a statement will write when it parses it; only of functions is that news.
        if last is not None and last.calls and written - self._written.get(step.session, frozenset()):
            last.writes = True
        if last is not None and step.commits:
            step.writes = last.writes
        self._written[step.session] = written
        self._before[step.session] = step
