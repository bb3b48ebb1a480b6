"""The stage: a target that runs behind the proxy, and one run of a scenario on it under a schedule."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.driving.gate import OpenGate
from harness.driving.guard import works_in_place
from harness.driving.program import Patience, Recorder, drive_program
from harness.driving.quiet import busy_sessions, quiet_books
from harness.exploring.conductor import Conductor, Limits, Memory, StuckError
from harness.exploring.conflicts import Isolation
from harness.exploring.monitor import Monitor, monitoring
from harness.model import Evidence, Feature, Outcome
from harness.wire import Proxy, address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from harness.exploring.events import Event, Trace
    from harness.model import Books, Call, Client, Incident, Program, Running, Scenario, Target, TicketType

    Chooser = Callable[[frozenset[str], frozenset[str], Sequence[Event]], str | None]


NOTHING_BETWEEN = "the target is connected to its database already, so nothing can stand between them"
_IDLE = 0.1
"""Seconds of listening to what the application does of its own accord."""
_COMPANY = 0.005
"""Seconds in which the other statements of a request arrive, if it sends several at once."""
_NO_SCHEDULES: Mapping[int, Chooser] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One run under a schedule: what it did, and what it left."""

    phase: int
    """The phase that ran under the schedule."""
    trace: Trace
    evidence: Evidence
    commits: int
    """Commits after each of which the books were read."""
    outside: bool
    """A request was seen waiting outside Postgres."""
    stuck: bool
    isolation: Isolation
    """The strongest level that any transaction was seen to use."""
    overtaken: bool
    """The line for a lock was not kept; see the conductor."""
    opaque: bool
    """Something could only be held together with something else, or happened in an order nobody chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one phase did that ran under a schedule."""

    trace: Trace
    commits: int
    """Commits after each of which the books were read."""
    waits: int
    """Statements that waited for a lock."""
    outside: bool
    """A request was seen waiting outside Postgres."""
    stuck: bool
    isolation: Isolation
    """The strongest level that any transaction was seen to use."""
    overtaken: bool
    """The line for a lock was not kept; see the conductor."""
    unordered: bool
    """Something happened in an order nobody chose."""
    opaque: bool
    """That, or something could only be held together with something else."""


@dataclass(slots=True)
class Session:
    """One open sale on a stage: its phases, one after another, and what they leave.

    The books may be read after any of them; what was read then is one of the states seen on the way.
    """

    stage: Stage
    sale: Any
    isolation: Isolation
    """The level of transactions that name none."""
    _recorder: Recorder = field(default_factory=Recorder)
    _phases: int = 0
    _states: list[Books] = field(default_factory=list)
    _incidents: list[Incident] = field(default_factory=list)
    _rest: Books | None = None
    """The books after the last phase, if they were read."""
    _shown: bool = False
    """The last state seen on the way is the one in which the last phase ended."""
    _stuck: bool = False

    async def alone(self, programs: Sequence[Program]) -> None:
        """Run a phase in which each program runs by itself, one after another."""
        number = self._begin()
        for place, program in enumerate(programs):
            client = await self.stage.client(place)
            await self.stage.run_alone(place, client, self.sale, program, number, self._recorder)

    async def under_schedule(self, programs: Sequence[Program], choose: Chooser) -> Ran:
        """Run a phase in which ``choose`` says who goes next; see the conductor.

        :raises DivergedError: when it names a client that cannot go.
        """
        number = self._begin()
        places = [(program, await self.stage.client(place)) for place, program in enumerate(programs)]
        conductor = self.stage.conductor(self.isolation)
        stuck = False
        try:
            async with self.stage.proxy.controlled(conductor):
                await conductor.run(
                    places,
                    self.sale,
                    phase=number,
                    recorder=self._recorder,
                    choose=choose,
                    committed=self._look,
                )
        except StuckError:
            stuck = True
        finally:
            # Also after a divergence: what was cut off then must not be used in the next run.
            for place in [place for place, usable in enumerate(conductor.usable) if not usable]:
                self.stage.forget(place)
        self._shown, self._stuck = conductor.has_shown_all, self._stuck or stuck
        self._incidents += conductor.incidents
        trace = conductor.trace()
        return Ran(
            trace=trace,
            commits=conductor.commits,
            waits=sum(bool(event.waited_for) for event in trace.events),
            outside=conductor.outside,
            stuck=stuck,
            isolation=conductor.isolation,
            overtaken=conductor.overtaken,
            unordered=conductor.unordered,
            opaque=bool(conductor.coarse or conductor.silent) or conductor.unordered,
        )

    async def evidence(self, scenario: Scenario) -> Evidence:
        """Read the books once everything is quiet, and return what there is to judge by now.

        :param scenario: what ran, phase by phase.
        """
        history = self._recorder.history()
        if self._rest is None:
            self._rest = await self._quiet(history)
        return Evidence(
            scenario=scenario,
            history=history,
            books=self._rest,
            states=tuple(self._states),
            incidents=tuple(self._incidents),
        )

    async def _quiet(self, history: Sequence[Call]) -> Books:
        running, db = self.stage.running, self.stage.monitor.db
        unsure = self._stuck or any(call.outcome is Outcome.UNKNOWN for call in history)
        if self._shown and not unsure and not await busy_sessions(db):
            return self._states.pop()
        return await quiet_books(running, self.sale, db, alike=4 if unsure else 1)

    async def _look(self) -> None:
        self._states.append(await self.stage.running.books(self.sale))

    def _begin(self) -> int:
        """Return the number of the phase that begins now."""
        if self._rest is not None:
            self._states.append(self._rest)
        self._rest, self._shown = None, False
        self._phases += 1
        return self._phases - 1


@dataclass(slots=True)
class Stage:
    """See the module."""

    running: Running
    proxy: Proxy
    monitor: Monitor
    timeout: float
    """Seconds for a statement, and for an answer where nothing is under a schedule."""
    _clients: dict[int, Client] = field(default_factory=dict)
    """By place: the n-th program of every phase uses the n-th client."""
    _memory: Memory = field(default_factory=Memory)
    _runs: int = 0

    async def open(
        self, tickets: Sequence[TicketType], isolation: Isolation = Isolation.READ_COMMITTED
    ) -> Session:
        """Put fresh stock on sale.

        :param isolation: the level of transactions that name none.
        """
        return Session(self, await self.running.open_sale(tickets), isolation)

    async def perform(
        self,
        scenario: Scenario,
        phase: int,
        choose: Chooser,
        isolation: Isolation = Isolation.READ_COMMITTED,
        earlier: Mapping[int, Chooser] = _NO_SCHEDULES,
    ) -> Performance:
        """Run a scenario on fresh stock, one phase of it under a schedule.

        :param phase: the phase that runs under the schedule.
        :param earlier: schedules of other phases; in those without one each program runs by itself, one
            after another.
        :param isolation: the level of transactions that name none.
        :raises DivergedError: when a schedule names a client that cannot go.
        """
        session = await self.open(scenario.tickets, isolation)
        ran: dict[int, Ran] = {}
        for number, each in enumerate(scenario.phases):
            chooser = choose if number == phase else earlier.get(number)
            if chooser is None:
                await session.alone(each.programs)
            else:
                ran[number] = await session.under_schedule(each.programs, chooser)
        judged = ran.get(phase)
        if judged is None:
            raise IndexError(f"the scenario has no phase {phase}")
        return Performance(
            phase=phase,
            trace=judged.trace,
            evidence=await session.evidence(scenario),
            commits=sum(each.commits for each in ran.values()),
            outside=any(each.outside for each in ran.values()),
            stuck=any(each.stuck for each in ran.values()),
            isolation=max(each.isolation for each in ran.values()),
            overtaken=any(each.overtaken for each in ran.values()),
            opaque=any(each.opaque for each in ran.values()),
        )

    async def listen(self) -> None:
        """Let nobody do anything for a moment: what arrives is the application's own."""
        async with self.proxy.controlled(self._conductor(Isolation.READ_COMMITTED)):
            await asyncio.sleep(_IDLE)

    def conductor(self, isolation: Isolation) -> Conductor:
        """Return a conductor for one more phase under a schedule."""
        self._runs += 1
        return self._conductor(isolation, unsure=self._runs == 1)

    def _conductor(self, isolation: Isolation, *, unsure: bool = True) -> Conductor:
        # The first run goes slowly, to learn whether requests send several statements at once.
        slowly = unsure or self._memory.fans_out
        limits = Limits(statement=self.timeout, company=_COMPANY if slowly else 0.0)
        return Conductor(self.monitor, self.proxy.sessions, limits, self._memory, isolation)

    async def client(self, place: int) -> Client:
        """Return the client of that place, connected."""
        if place not in self._clients:
            self._clients[place] = await self.running.connect(f"client-{place + 1}")
        return self._clients[place]

    def forget(self, place: int) -> None:
        """Connect a fresh client for that place the next time."""
        del self._clients[place]

    def forget_all(self) -> None:
        """Break all clients' connections, and connect fresh clients from now on."""
        for client in self._clients.values():
            client.abandon()
        self._clients.clear()

    async def run_alone(
        self, place: int, client: Client, sale: Any, program: Program, phase: int, recorder: Recorder
    ) -> None:
        """Run one program while nobody else does anything."""
        usable = await drive_program(
            client,
            sale,
            program,
            phase=phase,
            recorder=recorder,
            gate=OpenGate(),
            patience=Patience(self.timeout),
        )
        if not usable:
            self.forget(place)

    async def leave(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            with contextlib.suppress(Exception):
                await client.close()


def no_stage(scenario: Scenario, target: Target) -> str | None:
    """Return why nothing can stand between a target and its database; ``None`` when something can."""
    if works_in_place(target):
        return NOTHING_BETWEEN
    if Feature.DISCONNECT in scenario.needs:
        return "a client that goes away is no order of statements"
    return None


@contextlib.asynccontextmanager
async def stage(
    database: str,
    start: Callable[[str], AbstractAsyncContextManager[Running]],
    *,
    isolation: str | None,
    timeout: float,
    tls: bool = False,
    through: Callable[[str], AbstractAsyncContextManager[str]] = contextlib.nullcontext,
) -> AsyncIterator[Stage]:
    """Start a target behind a proxy for the length of a block.

    :param database: URL of the database it is to work on.
    :param start: starts it on a URL.
    :param isolation: default isolation level of its sessions, or the server's own.
    :param tls: serve encrypted connections, with a self-made certificate, where they are asked for.
    :param through: stands between the target and the proxy: makes of the proxy's URL the target's.
    """
    async with (
        monitoring(database) as monitor,
        Proxy(address_of(database), isolation=isolation, tls=tls) as proxy,
        through(proxy.url(database)) as url,
        start(url) as running,
    ):
        made = Stage(running, proxy, monitor, timeout)
        try:
            await made.listen()
            yield made
        finally:
            await made.leave()
