"""The stage: a target that runs behind the proxy, and one run of a scenario on it under a schedule."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.driving.gate import OpenGate
from harness.driving.program import Patience, Recorder, drive_program
from harness.driving.quiet import busy_sessions, quiet_books
from harness.exploring.conductor import Conductor, Limits, Memory, StuckError
from harness.exploring.conflicts import Isolation
from harness.exploring.monitor import Monitor, monitoring
from harness.model import Evidence, Outcome
from harness.wire import Proxy, address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from harness.exploring.events import Event, Trace
    from harness.model import Books, Client, Running, Scenario

    Chooser = Callable[[frozenset[str], frozenset[str], Sequence[Event]], str | None]


_IDLE = 0.1
"""Seconds of listening to what the application does of its own accord."""
_COMPANY = 0.005
"""Seconds in which the other statements of a request arrive, if it sends several at once."""


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

    async def perform(
        self, scenario: Scenario, phase: int, choose: Chooser, isolation: Isolation = Isolation.READ_COMMITTED
    ) -> Performance:
        """Run a scenario on fresh stock, one phase of it under a schedule.

        :param phase: the phase that runs under the schedule; in the others each program runs by itself,
            one after another.
        :param isolation: the level of transactions that name none.
        """
        sale = await self.running.open_sale(scenario.tickets)
        recorder = Recorder()
        states: list[Books] = []

        async def look() -> None:
            states.append(await self.running.books(sale))

        conductor: Conductor | None = None
        stuck = False
        for number, each in enumerate(scenario.phases):
            places = [(program, await self._client(place)) for place, program in enumerate(each.programs)]
            if number != phase:
                for place, (program, client) in enumerate(places):
                    await self._alone(place, client, sale, program, number, recorder)
                continue
            conductor = self._conductor(isolation)
            self._runs += 1
            try:
                async with self.proxy.controlled(conductor):
                    await conductor.run(
                        places, sale, phase=number, recorder=recorder, choose=choose, committed=look
                    )
            except StuckError:
                stuck = True
            finally:
                # Also after a divergence: what was cut off then must not be used in the next run.
                for place in [place for place, usable in enumerate(conductor.usable) if not usable]:
                    del self._clients[place]
        if conductor is None:
            raise IndexError(f"the scenario has no phase {phase}")
        history = recorder.history()
        unsure = stuck or any(call.outcome is Outcome.UNKNOWN for call in history)
        last = phase == len(scenario.phases) - 1
        if last and not unsure and conductor.has_shown_all and not await busy_sessions(self.monitor.db):
            books = states.pop()
        else:
            books = await quiet_books(self.running, sale, self.monitor.db, alike=4 if unsure else 1)
        return Performance(
            phase=phase,
            trace=conductor.trace(),
            evidence=Evidence(
                scenario=scenario,
                history=history,
                books=books,
                states=tuple(states),
                incidents=tuple(conductor.incidents),
            ),
            commits=conductor.commits,
            outside=conductor.outside,
            stuck=stuck,
            isolation=conductor.isolation,
            overtaken=conductor.overtaken,
            opaque=bool(conductor.coarse) or conductor.unordered,
        )

    async def listen(self) -> None:
        """Let nobody do anything for a moment: what arrives is the application's own."""
        async with self.proxy.controlled(self._conductor(Isolation.READ_COMMITTED)):
            await asyncio.sleep(_IDLE)

    def _conductor(self, isolation: Isolation) -> Conductor:
        # The first run goes slowly, to learn whether requests send several statements at once.
        unsure = self._runs == 0 or self._memory.fans_out
        limits = Limits(statement=self.timeout, company=_COMPANY if unsure else 0.0)
        return Conductor(self.monitor, self.proxy.sessions, limits, self._memory, isolation)

    async def _client(self, place: int) -> Client:
        if place not in self._clients:
            self._clients[place] = await self.running.connect(f"client-{place + 1}")
        return self._clients[place]

    async def _alone(
        self, place: int, client: Client, sale: Any, program: Any, phase: int, recorder: Recorder
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
            del self._clients[place]

    async def leave(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            with contextlib.suppress(Exception):
                await client.close()


@contextlib.asynccontextmanager
async def stage(
    database: str,
    start: Callable[[str], AbstractAsyncContextManager[Running]],
    *,
    isolation: str | None,
    timeout: float,
    tls: bool = False,
) -> AsyncIterator[Stage]:
    """Start a target behind a proxy for the length of a block.

    :param database: URL of the database it is to work on.
    :param start: starts it on a URL.
    :param isolation: default isolation level of its sessions, or the server's own.
    :param tls: serve encrypted connections, with a self-made certificate, where they are asked for.
    """
    async with (
        monitoring(database) as monitor,
        Proxy(address_of(database), isolation=isolation, tls=tls) as proxy,
        start(proxy.url(database)) as running,
    ):
        made = Stage(running, proxy, monitor, timeout)
        try:
            await made.listen()
            yield made
        finally:
            await made.leave()
