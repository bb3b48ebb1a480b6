"""One run with faults in it: programs one after another, and what they leave once everything is quiet."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from harness.driving.gate import OpenGate
from harness.driving.program import Recorder, ask, no_answer
from harness.faulting.fault import Situation
from harness.faulting.mortal import Mortal
from harness.faulting.saboteur import Saboteur
from harness.faulting.settling import settle
from harness.faulting.steps import Request, RequestId, request_of
from harness.model import Answer, Call, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    from harness.exploring.stage import Stage
    from harness.faulting.fault import Fault, Ground
    from harness.faulting.pooling import Pooling
    from harness.faulting.steps import SeenStep
    from harness.faulting.watch import Watch
    from harness.model import (
        Books,
        Client,
        Evidence,
        Injection,
        Operation,
        Process,
        Program,
        Running,
        Scenario,
    )
    from harness.postgres.embedded import Postmaster
    from harness.wire import Decision

T = TypeVar("T")

_SPARE = 1000
"""Places of clients that send what somebody else sends again."""
_PATIENCE = 8.0
"""Seconds for which a step stands still while others go on."""
_LINGERING = 3.0
"""Seconds for what goes on without a client."""
_FIRST_LOOK = 0.002
_IDLE = 0.1
"""Seconds of listening to what the application does of its own accord."""
_REFUSALS = frozenset({Outcome.SOLD_OUT, Outcome.DUPLICATE, Outcome.INVALID})


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One run: what was done, what broke, and what it left."""

    steps: tuple[tuple[RequestId, SeenStep], ...]
    """In the order in which they came."""
    evidence: Evidence
    sale: Any
    """What names the stock to the target."""
    fired: tuple[Injection, ...]
    unjudged: str = ""
    """Why what came of it says nothing."""


@dataclass(slots=True)
class Theatre:
    """A stage, and what is known of the target on it."""

    stage: Stage
    ground: Ground
    faults: Mapping[str, Fault]
    watch: Watch
    database: str
    """URL of the database itself."""
    postmaster: Postmaster | None = None
    """Its server, where that is ours alone and may go down."""
    pooling: Pooling | None = None
    """What stands between it and the proxy, where something does."""
    background: set[str] = field(default_factory=set)
    dead: list[Request] = field(default_factory=list)
    """Requests whose server died: they hang until nothing is judged any more."""
    spent: bool = False
    """The target cannot be used again without a new start."""
    _whole: Performance | None = None
    """The last run behind a pooler in which nothing was to be fired."""

    async def listen(self) -> None:
        """Let nobody do anything for a moment: what arrives is the application's own."""
        async with self.stage.proxy.controlled(self._saboteur((), _nobody, learns=True)):
            await asyncio.sleep(_IDLE)

    async def perform(
        self,
        scenario: Scenario,
        injections: Iterable[Injection] = (),
        *,
        keyed: bool = False,
        patience: float = math.inf,
    ) -> Performance:
        """Run a scenario on fresh stock, with these faults in it.

        :param keyed: requests carry an idempotency key; those of a run with a fault about keys always do.
        :param patience: seconds for each answer, where that is less than always.
        """
        injections = tuple(injections)
        moves = await self._moves(scenario, injections) if self.pooling is not None else frozenset()
        sale = await self.stage.running.open_sale(scenario.tickets)
        run = _Run(self, scenario, sale)
        run.patience = min(patience, self.stage.timeout)
        run.keyed = keyed or any(self.faults[each.fault].keyed for each in injections)
        run.saboteur = self._saboteur(injections, run.fire, looks=not injections, moves=moves)
        async with self.stage.proxy.controlled(run.saboteur):
            await run.all_phases()
            evidence, spent = await settle(self, scenario, sale, run.recorder, faulty=bool(injections))
        unjudged = run.unjudged or await self._renew()
        self.spent = spent or bool(run.unanswered)
        self.dead += [request for request in run.dead if request.task is not None]
        if evidence.afterwards is not None:
            unanswered = tuple(dict.fromkeys(run.unanswered))
            evidence = replace(evidence, afterwards=replace(evidence.afterwards, unanswered=unanswered))
        return Performance(
            steps=tuple((request.id, step) for request, step in run.saboteur.steps),
            evidence=evidence,
            sale=sale,
            fired=tuple(run.saboteur.fired),
            unjudged=unjudged,
        )

    async def _moves(
        self, scenario: Scenario, injections: tuple[Injection, ...]
    ) -> frozenset[tuple[RequestId, int]]:
        """Return with which steps those transactions begin, behind a pooler, in which something is fired."""
        if not injections:
            return frozenset()
        if self._whole is None or self._whole.evidence.scenario != scenario:
            self._whole = await self.perform(scenario)
        found: set[tuple[RequestId, int]] = set()
        for injection in injections:
            mine = [step for request, step in self._whole.steps if request == request_of(injection)]
            numbers = [step.number for step in mine if step.begins and step.number <= injection.step]
            found |= {(request_of(injection), number) for number in numbers[-1:]}
        return frozenset(found)

    async def _renew(self) -> str:
        """Have a pooler use other sessions from now on, and return why a run in these says nothing."""
        if self.pooling is None:
            return ""
        complaint = self.pooling.complaint
        await self.pooling.renew(self.watch, [session.pid for session in self.stage.proxy.sessions])
        return complaint

    async def bury(self) -> None:
        """Let those who died clean up after themselves, now that nobody looks any more."""
        dead, self.dead = self.dead, []
        tasks = [request.task for request in dead if request.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LINGERING)

    def _saboteur(
        self,
        injections: Iterable[Injection],
        fire: Callable[[Injection, Request, SeenStep], Coroutine[Any, Any, Decision]],
        *,
        learns: bool = False,
        looks: bool = False,
        moves: frozenset[tuple[RequestId, int]] = frozenset(),
    ) -> Saboteur:
        made = Saboteur(
            self.watch,
            {(request_of(each), each.step): each for each in injections},
            fire,
            self.background,
            learns=learns,
            looks=looks,
            pooling=self.pooling,
            moves=moves,
        )
        made.know(self.stage.proxy.sessions)
        return made


def process_of(running: Running) -> Process | None:
    """Return the process a target runs as, where it gives us one."""
    process: Process | None = getattr(running, "process", None)
    return process


async def _nobody(_injection: Injection, _request: Request, _step: SeenStep) -> Decision:
    raise AssertionError("nothing was planned")


@dataclass(slots=True)
class _Run:
    """One run under way."""

    theatre: Theatre
    scenario: Scenario
    sale: Any
    recorder: Recorder = field(default_factory=Recorder)
    saboteur: Saboteur = field(init=False)
    keyed: bool = False
    patience: float = math.inf
    """Seconds for each answer."""
    unanswered: list[str] = field(default_factory=list)
    unjudged: str = ""
    _keys: dict[RequestId, str] = field(default_factory=dict)
    """Idempotency keys of requests, and of their repeats."""
    _begun: set[int] = field(default_factory=set)
    """Places of the programs of this phase that have begun."""
    _phase: int = 0
    _distrusted: int = 0
    """How many strangers are in everybody's way."""
    _beside: list[asyncio.Task[None]] = field(default_factory=list)
    """What a fault set going, and may still be going on."""
    dead: list[Request] = field(default_factory=list)
    """Those whose server died, and whose task hangs for ever."""
    _lingering: list[asyncio.Task[Answer]] = field(default_factory=list)
    _clients: dict[Request, tuple[int, Client]] = field(default_factory=dict)

    async def all_phases(self) -> None:
        """Run every program, phase by phase, one after another."""
        try:
            for number, phase in enumerate(self.scenario.phases):
                self._phase = number
                self._begun.clear()
                await self._programs(phase.programs)
                await self._finish_beside()
        finally:
            for task in (*self._beside, *self._lingering):
                task.cancel()
            await asyncio.gather(*self._beside, *self._lingering, return_exceptions=True)

    async def fire(self, injection: Injection, request: Request, step: SeenStep) -> Decision:
        """Fire a fault at a step that has come."""
        place, client = self._clients[request]
        stage = self.theatre.stage
        situation = Situation(
            ground=self.theatre.ground,
            step=step,
            request=request,
            client=client,
            running=stage.running,
            database=self.theatre.database,
            books=self._books,
            watch=self.theatre.watch,
            others=lambda pids: self._others(step, pids),
            send=lambda operation: self._send_beside(request, place, operation, step),
            later=lambda work, end: self._later(request, work, end),
            done=lambda: not request.held and self.saboteur.running.get(step.session) is not step,
            distrust=self._distrust,
            fall=self._fall,
            restart=self._restart,
        )
        return await self.theatre.faults[injection.fault].fire(situation)

    def _later(self, request: Request, work: Coroutine[Any, Any, None], end: Callable[[], None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: end())
        request.works.append(task)
        self._beside.append(task)

    def _distrust(self) -> Callable[[], None]:
        self._distrusted += 1
        for request in self.saboteur.requests:
            request.lied_to = True
        return self._trust

    def _trust(self) -> None:
        self._distrusted -= 1

    async def _fall(self, how: Callable[[Postmaster], Awaitable[None]]) -> None:
        theatre = self.theatre
        postmaster = theatre.postmaster
        assert postmaster is not None  # noqa: S101  # such a fault is fired where there is one
        await how(postmaster)
        await postmaster.come_back()
        await theatre.watch.connect_anew(theatre.database)
        theatre.stage.forget_all()

    async def _restart(self) -> None:
        stage = self.theatre.stage
        process = process_of(stage.running)
        assert process is not None  # noqa: S101  # such a fault is for targets that give us theirs
        await process.kill()
        await self._as_ours(process.restart())
        stage.forget_all()

    async def _books(self) -> Books:
        """Read the books while a request stands still."""
        return await self._as_ours(self.theatre.stage.running.books(self.sale))

    async def _as_ours(self, doing: Awaitable[T]) -> T:
        """Do something that belongs to no request."""
        self.saboteur.ours += 1
        try:
            return await doing
        finally:
            self.saboteur.ours -= 1

    # Programs.

    async def _programs(self, programs: Iterable[Program]) -> None:
        """Run those that have not begun, in their order."""
        for place, program in enumerate(programs):
            if place not in self._begun:
                self._begun.add(place)
                await self._program(place, program)

    async def _program(self, place: int, program: Program) -> None:
        for number, operation in enumerate(program.operations):
            identity = RequestId(self._phase, program.client, number)
            request, call = await self._send(place, identity, self.recorder.resolve(operation))
            if request.tries_again and call.outcome in (Outcome.UNKNOWN, Outcome.RETRYABLE):
                again = replace(identity, attempt=1)
                request, call = await self._send(place, again, request.operation)
            if call.completed is None:
                return

    async def _others(self, step: SeenStep, pids: Sequence[int]) -> None:
        """Let the programs that have not begun run, until they are done or wait for whoever stands still."""
        phase = self.scenario.phases[self._phase]
        await self._beside_of(self._programs(phase.programs), step, pids)

    async def _send_beside(self, request: Request, place: int, operation: Operation, step: SeenStep) -> None:
        """Send something as the same client while its request stands still."""
        identity = replace(request.id, attempt=request.id.attempt + 1)
        await self._beside_of(self._once(place + _SPARE, identity, operation), step)

    async def _once(self, place: int, identity: RequestId, operation: Operation) -> None:
        await self._send(place, identity, operation)

    async def _beside_of(
        self, doing: Coroutine[Any, Any, None], step: SeenStep, pids: Sequence[int] = ()
    ) -> None:
        task = asyncio.create_task(doing)
        self._beside.append(task)
        pause, waited = _FIRST_LOOK, 0.0
        while not task.done() and waited < _PATIENCE:
            await asyncio.wait({task}, timeout=pause)
            waited += pause
            pause = min(pause * 2, 0.05)
            if not task.done() and await self._waits_for(step.pid, pids):
                return
        if task.done():
            task.result()

    async def _waits_for(self, pid: int, pids: Sequence[int]) -> bool:
        """Say whether some statement under way waits for a session, directly or in the queue before it.

        :param pids: more backends that it may wait for.
        """
        sessions = [self.saboteur.pids.get(session, pid) for session in tuple(self.saboteur.running)]
        watch = self.theatre.watch
        for other in sessions:
            if other != pid and await watch.blocked(
                other, [*(each for each in sessions if each != other), pid, *pids]
            ):
                return True
        return False

    async def _finish_beside(self) -> None:
        """Wait for what faults set going."""
        while self._beside:
            task = self._beside.pop()
            await asyncio.wait({task}, timeout=self.theatre.stage.timeout * 2)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
            else:
                task.result()

    # One request.

    async def _send(self, place: int, identity: RequestId, operation: Operation) -> tuple[Request, Call]:
        """Send one request, and record what came back, or that nobody waited for it."""
        stage = self.theatre.stage
        client = await self._as_ours(stage.client(place))
        request = Request(identity, operation, lied_to=bool(self._distrusted))
        if self.keyed:
            key = self._keys.setdefault(replace(identity, attempt=0), uuid4().hex)
            client.use_key(key)  # type: ignore[attr-defined]  # such a fault is for targets whose clients can
        self._clients[request] = place, client
        self.saboteur.begun(request)
        gate, begun = OpenGate(), time.monotonic_ns()
        request.task = asyncio.create_task(ask(Mortal(client, request), self.sale, operation, gate))
        answer = await self._answer(request, request.task)
        self._record(request, answer, begun if gate.passed_at is None else gate.passed_at)
        if self.keyed:
            client.use_key(None)  # type: ignore[attr-defined]  # as above
        await self._after(place, request, client)
        await self.saboteur.ended(request)
        return request, self.recorder.calls[-1]

    async def _answer(self, request: Request, task: asyncio.Task[Answer]) -> Answer:
        timeout = self.patience
        while True:
            waiting: set[asyncio.Future[Any]] = {task, request.given_up}
            await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if request.given_up.done():
                return Answer(Outcome.UNKNOWN, detail=request.given_up.result())
            if task.done():
                answer = task.result()
                if request.lied_to and answer.outcome in _REFUSALS:
                    return Answer(Outcome.RETRYABLE, detail=f"{answer.outcome.value}, after an error of ours")
                return answer
            if not request.held:
                request.hung = True
                return no_answer(timeout)

    def _record(self, request: Request, answer: Answer, invoked: int) -> None:
        identity = request.id
        again = f" (again {identity.attempt})" if identity.attempt else ""
        call = Call(
            index=0,
            client=f"{identity.client}{again}",
            phase=identity.phase,
            operation=request.operation,
            answer=answer,
            invoked=invoked,
            completed=None if answer.outcome is Outcome.UNKNOWN else time.monotonic_ns(),
        )
        self.recorder.record(call)

    async def _after(self, place: int, request: Request, client: Client) -> None:
        """Wait for what goes on without the client; a broken connection is not used again."""
        task = request.task
        assert task is not None  # noqa: S101  # it was made with the request
        if request.held and request.firing is not None and task.done():
            # The request has failed by what the fault does, and that goes on.
            await request.firing
        if request.hung:
            await self._hung(request)
        if request.dead:
            self.dead.append(request)
            client.abandon()
        elif not task.done():
            await asyncio.wait({task}, timeout=0 if request.hung else _LINGERING)
            if not task.done():
                client.abandon()
                task.cancel()
                await asyncio.wait({task}, timeout=1)
        if request.works:
            await asyncio.wait(request.works, timeout=self.theatre.stage.timeout)
        if request.broken:
            await self._backends_gone()
            await self._at_rest()
        if request.cut or request.given_up.done() or not _answered(task):
            with contextlib.suppress(Exception):
                client.abandon()
            with contextlib.suppress(KeyError):
                self.theatre.stage.forget(place)

    async def _hung(self, request: Request) -> None:
        """Note who was never answered; where that is our own doing, that nothing can be said."""
        silent = not any(session in self.saboteur.running for session in self.saboteur.pids)
        if self.dead and silent and not request.steps:
            self.unjudged = "killed: others wait in memory for the one who died, and that dies with a process"
        elif not request.broken:
            self.unanswered.append(request.id.client)

    async def _backends_gone(self) -> None:
        """Wait until Postgres has noticed the connections that were broken, and undone what they left."""
        if self.saboteur.broken:
            await self.theatre.watch.gone(list(self.saboteur.broken), or_idle=True, seconds=_LINGERING)

    async def _at_rest(self) -> None:
        """Where the target has a process of its own, wait until it sends nothing more for this request."""
        if not self.theatre.ground.own_process:
            return
        seen = -1
        until = time.monotonic() + _LINGERING
        while time.monotonic() < until and (seen != len(self.saboteur.steps) or self.saboteur.running):
            seen = len(self.saboteur.steps)
            await asyncio.sleep(0.01)


def _answered(task: asyncio.Task[Answer]) -> bool:
    """Say whether there was an answer, after which a client goes on on its connection."""
    return task.done() and not task.cancelled() and task.result().outcome is not Outcome.UNKNOWN
