"""The saboteur: a controller of the proxy that lets requests run, and fires a fault where one is planned.

Requests run one after another, so what arrives while one is under way belongs to it, whichever pooled
connection carries it. Where a fault lets others run while one stands still, a session that has served
somebody who is still under way is taken to be theirs. What arrives while nobody is under way is the
application's own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.faulting.steps import shape_of, step_of
from harness.wire import CUT, PROCEED, Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

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

    async def _reached(self, statement: Statement, *, commits: bool) -> Decision:
        request = self._whose(statement, commits=commits)
        if request is None:
            return PROCEED
        if request.dead:
            return CUT  # Another connection of somebody who has died.
        self._homes[statement.session] = request
        step = step_of(
            statement, number=len(request.steps) + 1, pid=self.pids[statement.session], commits=commits
        )
        request.steps.append(step)
        self.steps.append((request, step))
        if self.looks:
            await self._look(step)
        decision = await self._decision(request, step)
        self.running[statement.session] = step
        return decision

    def _whose(self, statement: Statement, *, commits: bool) -> Request | None:
        """Return the request that a step belongs to; ``None`` for the application's own."""
        home = self._homes.get(statement.session)
        if home in self.requests and (commits or statement.in_transaction):
            return home
        if self.ours:
            return None
        shape = shape_of(statement.sql)
        if not self.requests:
            if self.learns:
                self.background.add(shape)
            return None
        if shape in self.background:
            return None
        return home if home in self.requests else self.requests[-1]

    async def _decision(self, request: Request, step: SeenStep) -> Decision:
        injection = self.plan.get((request.id, step.number))
        if injection is None or request.held:
            return PROCEED
        if (injection.shape, injection.commits) != (step.shape, step.commits):
            return PROCEED  # Something else came, and the fault does not fire.
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
