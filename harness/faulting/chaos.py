"""Chaos: faults at random while a crowd buys.

The target runs behind a proxy, and at every statement and commit the :class:`~harness.faulting.odds.Odds` say
whether something breaks there. What is fired are the faults of the table, handed the same
:class:`~harness.faulting.fault.Situation`. Only, nobody stands still here: others go on by themselves, and
which request a step belongs to is not known. So whoever was under way while a client was told of an error
that was none is not held to their refusal; see :attr:`Chaos.lies`.

What takes everybody's time (:attr:`~harness.faulting.fault.Turn.LAST`) happens one at a time. While something
of our own is done, such as opening a sale, nothing breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from harness.driving.gate import OpenGate
from harness.driving.program import perform
from harness.errors import InconclusiveError, TargetFailedError
from harness.exploring.monitor import Monitor
from harness.faulting.fault import Situation, Turn
from harness.faulting.faults import FAULTS
from harness.faulting.odds import Odds, at_random
from harness.faulting.performing import process_of
from harness.faulting.steps import Request, RequestId, step_of
from harness.faulting.watch import Watch
from harness.model import ChaosFigures, Feature, ReadAvailability
from harness.postgres import connect, is_connection_lost
from harness.wire import PROCEED, Proxy, address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from harness.driving.program import Patience
    from harness.faulting.fault import Fault, Ground
    from harness.faulting.steps import SeenStep
    from harness.model import Answer, Books, Call, Client, Gate, Operation, Running, TicketType
    from harness.wire import Decision, Result, SessionInfo, Statement

T = TypeVar("T")

ENDING = 35.0
"""Seconds in which what was broken last has been made whole again: a process may be starting."""
_LOOKS = 5
"""How often it is looked whether a function writes, before it is taken for one that only reads."""
_TRIES = 5
"""How often we ask for something of our own: a pool may have to notice connections that broke."""
_APART = 0.05
"""Seconds between two of these."""
_PROBES = 20
"""How often the target is asked whether it answers afterwards, likewise."""
_PROBING, _PROBES_AT_LEAST = 10.0, 3
"""Seconds for that, and how often it is asked however long it takes."""
_NOBODY = RequestId(0, "a buyer", 0)
_UNKNOWN_OPERATION = ReadAvailability(ticket="", person="")


@dataclass(slots=True, kw_only=True)
class Chaos:
    """See the module. Also a :class:`harness.wire.Controller`."""

    proxy: Proxy
    ground: Ground
    odds: Odds
    watch: Watch
    database: str
    """URL of the database itself."""
    target: Running
    """As it was started; :attr:`running` is for everybody but buyers."""
    reasons: Sequence[str] = ()
    """Why some faults cannot be fired at this target."""
    fired: Counter[str] = field(default_factory=Counter)
    lies: list[tuple[int, int]] = field(default_factory=list)
    """From when to when, in nanoseconds of the monotonic clock, somebody was told of an error that was none,
    or was kept from rows by a stranger. Refusals of whoever was under way then need not be true."""
    trouble: str = ""
    """Why nothing is broken any more before the end."""
    _calm: int = 0
    """How many things of our own are going on."""
    _pids: dict[int, int] = field(default_factory=dict)
    _standing: dict[int, SeenStep] = field(default_factory=dict)
    """By session: the step at which something breaks, until Postgres is done with it."""
    _costly: int = 0
    """Faults under way that take everybody's time."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _bugs: list[BaseException] = field(default_factory=list)
    _looked: Counter[str] = field(default_factory=Counter)
    _writing: set[str] = field(default_factory=set)
    """Statements, without constants, that call functions which were seen to write."""

    @property
    def running(self) -> Running:
        """The target, for whoever opens sales and reads books: nothing breaks meanwhile."""
        return Undisturbed(self.target, self)

    @property
    def figures(self) -> ChaosFigures:
        """How much was broken by now."""
        shares = {name: round(share, 6) for name, share in self.odds.shares.items()}
        return ChaosFigures(
            rate=self.odds.rate,
            steps=self.odds.steps,
            shares=shares,
            fired={name: self.fired[name] for name in shares},
            reasons=tuple(self.reasons),
        )

    @property
    def announcement(self) -> str:
        """What is going to break and how often, in one line."""
        shares = sorted(self.odds.shares.items(), key=lambda each: -each[1])
        told = ", ".join(f"{name} {share:.2%}" for name, share in shares)
        kinds = f"chaos at {self.odds.rate * 100:.4g}% of all statements and commits, of which: {told}"
        return "; ".join((kinds, *self.reasons))

    async def probe(self, sale: Any, ticket: str, patience: Patience) -> tuple[Call, ...]:
        """Ask whether the target answers, until it does or was asked often enough.

        :param ticket: what is asked about.
        :returns: nothing where the target can be asked for nothing, or nobody can connect to it.
        """
        calls: list[Call] = []
        if Feature.AVAILABILITY not in self.ground.supports:
            return ()
        until = time.monotonic() + _PROBING
        while len(calls) < (_PROBES if time.monotonic() < until else _PROBES_AT_LEAST):
            if calls:
                await asyncio.sleep(_APART)
            try:
                client = await self.target.connect("afterwards")
            except InconclusiveError:
                return ()
            operation = ReadAvailability(ticket=ticket, person="probe")
            calls.append(await perform(client, sale, operation, OpenGate(), patience))
            with contextlib.suppress(Exception):
                client.abandon()
            if calls[-1].completed is not None:
                break
        return tuple(calls)

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Break things for the length of a block; afterwards all that can be made whole is."""
        self._pids |= {session.id: session.pid for session in self.proxy.sessions}
        async with self.proxy.controlled(self):
            try:
                yield
            finally:
                with self.calm():
                    await self._end()
        if self._bugs:
            raise self._bugs[0]

    @contextlib.contextmanager
    def calm(self) -> Iterator[None]:
        """Break nothing for the length of a block."""
        self._calm += 1
        try:
            yield
        finally:
            self._calm -= 1

    # What the proxy tells.

    def session_opened(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        self._pids[session.id] = session.pid

    def session_closed(self, session: SessionInfo) -> None:
        """See :class:`harness.wire.Controller`."""
        self._pids.pop(session.id, None)
        self._standing.pop(session.id, None)

    async def before_execute(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._reached(statement, commits=False)

    async def before_commit(self, statement: Statement) -> Decision:
        """See :class:`harness.wire.Controller`."""
        return await self._reached(statement, commits=True)

    def executed(self, statement: Statement, result: Result) -> None:  # noqa: ARG002  # whatever came of it
        """See :class:`harness.wire.Controller`."""
        self._standing.pop(statement.session, None)

    def finished(self, statement: Statement, result: Result) -> None:
        """See :class:`harness.wire.Controller`."""
        self.executed(statement, result)

    async def _reached(self, statement: Statement, *, commits: bool) -> Decision:
        if self._calm or self.trouble:
            return PROCEED
        step = self._step(statement, commits=commits) if commits else None
        if step is not None:
            await self._look(step)
        fault = self.odds.draw(lambda: step or self._step(statement, commits=commits))
        if fault is None or (fault.turn is Turn.LAST and self._costly):
            return PROCEED
        # In a task of its own: when the session ends meanwhile the proxy asks no more, and the fault goes on.
        firing = self._begin(self._fire(fault, step or self._step(statement, commits=commits)))
        decision = await asyncio.shield(firing)
        return PROCEED if decision is None else decision

    def _step(self, statement: Statement, *, commits: bool) -> SeenStep:
        step = step_of(statement, number=1, pid=self._pids[statement.session], commits=commits)
        step.writes = step.writes or step.shape in self._writing
        return step

    async def _look(self, step: SeenStep) -> None:
        """See whether a function has written, the first few times it is called: its name does not say."""
        if not step.calls or step.writes or self._looked[step.shape] >= _LOOKS:
            return
        self._looked[step.shape] += 1
        if await self._asked(self.watch.written(step.pid)):
            self._writing.add(step.shape)
            step.writes = True

    # What is fired.

    async def _fire(self, fault: Fault, step: SeenStep) -> Decision | None:
        """Fire a fault at a step; ``None`` when it came to nothing."""
        costly = fault.turn is Turn.LAST
        self._costly += costly
        self._standing[step.session] = step
        begun = time.monotonic_ns()
        request = Request(_NOBODY, _UNKNOWN_OPERATION)
        try:
            decision = await self._asked(fault.fire(self._situation(step, request)))
        finally:
            self._costly -= costly
            if request.lied_to:
                self.lies.append((begun, time.monotonic_ns()))
        if decision is not None:
            self.fired[fault.name] += 1
        return decision

    def _situation(self, step: SeenStep, request: Request) -> Situation:
        return Situation(
            ground=self.ground,
            step=step,
            request=request,
            client=_Nobody(),
            running=self.target,
            database=self.database,
            books=_never,
            watch=self.watch,
            others=_go_on_by_themselves,
            send=_never,
            later=self._later,
            done=lambda: self._standing.get(step.session) is not step,
            distrust=self._distrust,
            fall=_never,
            restart=self._restart,
        )

    def _later(self, work: Coroutine[Any, Any, None], end: Callable[[], None]) -> None:
        self._costly += 1

        def ended(_: asyncio.Task[Any]) -> None:
            self._costly -= 1
            end()

        self._begin(self._asked(work)).add_done_callback(ended)

    def _distrust(self) -> Callable[[], None]:
        begun = time.monotonic_ns()
        return lambda: self.lies.append((begun, time.monotonic_ns()))

    async def _restart(self) -> None:
        process = process_of(self.target)
        assert process is not None  # noqa: S101  # such a fault is for targets that give us theirs
        await process.kill()
        # What a process does when it starts is no part of any request.
        with self.calm():
            await process.restart()

    def _begin(self, doing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bugs.append(error)

    async def _asked(self, doing: Awaitable[T]) -> T | None:
        """Wait for something; ``None`` when it came to nothing.

        Where the target or the server is gone, the chaos ends. What the server merely refuses, as somebody
        who locks rows may be refused, is left.
        """
        try:
            return await doing
        except InconclusiveError as error:
            self.trouble = self.trouble or str(error)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_connection_lost(error):
                self.trouble = self.trouble or "Postgres cannot be asked any more about its sessions"
        return None

    async def _end(self) -> None:
        """Wait for what is under way; what takes too long is broken off, and whoever it stopped goes on."""
        try:
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=ENDING)
        finally:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=1)


@dataclass(slots=True)
class Undisturbed:
    """A running target, whose sales are opened and whose books are read while nothing breaks."""

    _running: Running
    _chaos: Chaos

    def __getattr__(self, name: str) -> Any:
        """Return what a target offers beyond the protocol, as it is."""
        return getattr(self._running, name)

    async def connect(self, name: str) -> Client:
        """See :class:`harness.model.Running`."""
        return await self._running.connect(name)

    async def open_sale(self, tickets: Sequence[TicketType]) -> Any:
        """See :class:`harness.model.Running`."""
        return await self._tried(lambda: self._running.open_sale(tickets))

    async def books(self, sale: Any) -> Books:
        """See :class:`harness.model.Running`."""
        return await self._tried(lambda: self._running.books(sale))

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask a few times, where what broke before may still be in the way."""
        with self._chaos.calm():
            for _ in range(_TRIES - 1):
                try:
                    return await call()
                except TargetFailedError:
                    if not self._chaos.fired:
                        raise
                await asyncio.sleep(_APART)
            return await call()


class _Nobody:
    """Stands for a client that nobody knows: no fault that asks for one is fired here."""

    async def perform(self, sale: Any, operation: Operation, gate: Gate) -> Answer:
        """Never be asked to."""
        raise AssertionError(f"it is not known whose request this is: {sale}, {operation}, {gate}")

    async def close(self) -> None:
        """Have nothing to close."""

    def abandon(self) -> None:
        """Have nothing to drop."""


async def _go_on_by_themselves(_pids: Sequence[int]) -> None:
    """Wait for nobody: under load others need not be let go."""


async def _never(*_: object) -> Any:
    raise AssertionError("no fault that asks for this is fired under load")


@contextlib.asynccontextmanager
async def behind_chaos(
    database: str,
    start: Callable[[str], AbstractAsyncContextManager[Running]],
    ground: Ground,
    *,
    rate: float,
    seed: int,
    tls: bool = False,
) -> AsyncIterator[Chaos]:
    """Start a target behind a proxy for the length of a block; nothing breaks before it is told to.

    :param database: URL of the database it is to work on.
    :param start: starts it on a URL.
    :param rate: the share of steps at which something breaks.
    :param tls: serve encrypted connections, with a self-made certificate, where they are asked for.
    """
    connection = await connect(database)
    try:
        async with Proxy(address_of(database), tls=tls) as proxy, start(proxy.url(database)) as running:
            ground = replace(ground, process=process_of(running) is not None)
            faults, reasons = at_random(FAULTS, ground)
            yield Chaos(
                proxy=proxy,
                ground=ground,
                odds=Odds(faults, rate, f"chaos/{seed}"),
                watch=Watch(Monitor(connection)),
                database=database,
                target=running,
                reasons=reasons,
            )
    finally:
        connection.terminate()
