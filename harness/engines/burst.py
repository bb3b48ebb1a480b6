"""burst: everybody at once, many times over.

Every client is connected and warmed, prepares its first operation as far as it can, and waits at a
barrier; over HTTP all but the last byte has then been sent. The barrier opens for all of them within
microseconds. A run ends when every program has ended and the database has come to rest; then its evidence
is judged, and the next run starts with fresh stock. Of a target that says which tables carry its stock every
committed state is judged, as read from Postgres' log; of others its books are read all the while, so that an
oversell that is mended before the end is seen too, if luck has it. Postgres is asked how many deadlocks it
broke, and, once somebody waits for long, whether anybody will ever let go of what is waited for; a run in
which nobody would is the last.

A burst finds races by luck, and says how much of it there was: in how many of its runs a law was broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.driving.auditing import AuditMode, SnapshotAuditor, audited, in_words
from harness.driving.gate import Barrier
from harness.driving.incidents import watch
from harness.driving.program import Patience, Recorder, drive_program
from harness.driving.quiet import quiet_books
from harness.model import Evidence, Outcome, Reserve
from harness.postgres import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.driving.auditing import Auditor
    from harness.driving.gate import BarrierGate
    from harness.driving.incidents import Watch
    from harness.driving.tally import Tally
    from harness.driving.trial import Settings, Trial
    from harness.model import Books, Client, Phase, Program, Running, Scenario, Target

_ALIKE_WHEN_UNSURE = 4
"""Readings that must agree before the end of a run in which some outcome is unknown."""
_MOST_COMPARISONS = 3
"""Times that log and books are read again when they differ: something may have happened between the two."""
_USUAL_ANSWER = 0.004
"""Seconds an answer takes, until one has been measured."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The engine; see the module."""

    name: str = "burst"
    doc: str = __doc__ or ""
    by_default: bool = True
    abreast: int = 1

    def crowd(self, settings: Settings) -> int | None:
        """Take the scenario's own crowd unless somebody asks for another."""
        return settings.buyers

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Drive anything."""

    async def drive(self, trial: Trial) -> None:
        """Repeat the scenario and have each run judged."""
        trial.tally.planned = trial.settings.rounds
        limit = trial.settings.burst_time
        until = math.inf if limit is None else time.monotonic() + limit
        async with _watched(trial) as watched:
            async with (
                trial.start(trial.database) as running,
                audited(trial.database, trial.implementation, running) as auditor,
                _crowd(trial, running, watched, auditor) as crowd,
            ):
                trial.tally.audit = in_words(auditor)
                for _ in range(trial.settings.rounds):
                    stuck = await crowd.run(trial.tally)
                    if stuck or trial.is_over or auditor.trouble or time.monotonic() > until:
                        break
            late = await watched.deadlocks_met()
            if late and "no_deadlock" not in trial.tally.broken:
                trial.tally.troubles.append(f"deadlocks counted too late to say in which run: {len(late)}")


ENGINE = Burst()


@contextlib.asynccontextmanager
async def _watched(trial: Trial) -> AsyncIterator[Watch]:
    """Open the connection that looks at the sessions of the others."""
    monitor = await connect(trial.database)
    try:
        yield await watch(monitor, trial.settings.operation_timeout)
    finally:
        monitor.terminate()


@contextlib.asynccontextmanager
async def _crowd(trial: Trial, running: Running, watched: Watch, auditor: Auditor) -> AsyncIterator[_Crowd]:
    """Connect a client for each program that runs at the same time, and keep them over all runs."""
    crowd = _Crowd(trial, running, watched, auditor)
    try:
        await crowd.fill()
        yield crowd
    finally:
        await crowd.leave()


@dataclass(slots=True)
class _Crowd:
    trial: Trial
    running: Running
    watched: Watch
    auditor: Auditor
    clients: dict[int, Client] = field(default_factory=dict)
    """By place: the n-th program of every phase uses the n-th client."""
    usual_answer: float = _USUAL_ANSWER
    tells_all: bool | None = None
    """The log tells all that the books show; ``None`` until that is known."""
    is_untrue: bool = False
    """The log told otherwise than the books: its states are not believed, the description is wrong."""
    beside: SnapshotAuditor | None = None
    """Reads the books of the present run beside the log, where it does not."""

    async def fill(self) -> None:
        """Connect whoever is missing."""
        for place in range(self.trial.scenario.crowd):
            if place not in self.clients:
                self.clients[place] = await self.running.connect(f"client-{place + 1}")

    async def leave(self) -> None:
        for client in self.clients.values():
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2):
                    await client.close()

    async def run(self, tally: Tally) -> bool:
        """Run every phase once on fresh stock, have it judged, and say whether somebody got stuck."""
        scenario = self.trial.scenario
        sale = await self.running.open_sale(scenario.tickets)
        await self.auditor.open(sale, scenario.tickets)
        sampler = await self._sampler(sale)
        recorder = Recorder()
        spread: float | None = None
        async with _watching(sampler), self.watched.looking():
            for number, phase in enumerate(scenario.phases):
                await self.fill()
                barrier = Barrier()
                await self._run_phase(sale, number, phase, recorder, barrier, tally.runs)
                spread = barrier.spread() or spread
        history = recorder.history()
        unsure = any(call.outcome is Outcome.UNKNOWN for call in history)
        stuck = self.watched.stuck(history)
        if stuck:
            await self.watched.end_stuck()
        books = await self._books_at_rest(sale, alike=_ALIKE_WHEN_UNSURE if unsure else 1)
        evidence = Evidence(
            scenario=scenario,
            history=history,
            books=books,
            states=self._states(),
            incidents=(*stuck, *await self.watched.deadlocks_met()) if self.watched.counts else None,
        )
        if tally.judge(evidence).violations:
            # What is broken may be mended a moment later by something that runs behind the answer; a
            # law about the end is judged at the end.
            later = await self._books_at_rest(sale, alike=_ALIKE_WHEN_UNSURE)
            evidence = replace(evidence, books=later, states=(*self._states(), books))
        tally.add(evidence, spread=spread)
        tally.commits += self.auditor.commits()
        self.auditor.close()
        answered = sorted(call.completed - call.invoked for call in history if call.completed is not None)
        if answered:
            self.usual_answer = answered[len(answered) // 2] / 1e9
        return bool(stuck)

    async def _sampler(self, sale: Any) -> Auditor | None:
        """Return what reads the books all the while; needed where the log tells less than they do."""
        if self.auditor.mode is AuditMode.SAMPLED:
            return self.auditor
        if self.tells_all is None:
            await self.auditor.catch_up()
            self.tells_all = not self.auditor.leaves_out(await self.running.books(sale))
        if self.tells_all:
            return None
        self.beside = SnapshotAuditor(self.running, "the log tells less than the books")
        await self.beside.open(sale, self.trial.scenario.tickets)
        return self.beside

    def _states(self) -> tuple[Books, ...]:
        told = () if self.is_untrue else self.auditor.states()
        return (*told, *(self.beside.states() if self.beside is not None else ()))

    async def _books_at_rest(self, sale: Any, *, alike: int) -> Books:
        """Return the books once nothing happens any more, and have every commit before that judged.

        Books that the log tells otherwise are a trouble of the check: what was read from it is in doubt.
        """
        compared = 0
        while True:
            books = await quiet_books(self.running, sale, self.watched.monitor, alike=alike)
            if self.auditor.mode is AuditMode.SAMPLED:
                return books
            await self.auditor.catch_up()
            difference, compared = self.auditor.difference(books), compared + 1
            if not difference or compared == _MOST_COMPARISONS:
                break
        self.is_untrue = self.is_untrue or bool(difference)
        trouble = difference and f"the log and the target's books do not agree: {difference}"
        self.trial.tally.troubles += [each for each in (trouble, self.auditor.trouble) if each]
        return books

    async def _run_phase(
        self, sale: Any, number: int, phase: Phase, recorder: Recorder, barrier: Barrier, run: int
    ) -> None:
        gates = {program.client: barrier.gate() for program in phase.programs}
        async with asyncio.TaskGroup() as group:
            for place, program in enumerate(phase.programs):
                group.create_task(
                    self._drive(sale, number, place, program, recorder, gates[program.client], barrier, run)
                )
            await barrier.open_when_ready(self.trial.settings.operation_timeout)

    async def _drive(
        self,
        sale: Any,
        number: int,
        place: int,
        program: Program,
        recorder: Recorder,
        gate: BarrierGate,
        barrier: Barrier,
        run: int,
    ) -> None:
        settings = self.trial.settings
        luck = random.Random(f"{settings.seed}/{self.trial.scenario.name}/{run}/{program.client}")  # noqa: S311  # repeatable, not secret
        # One leaves as soon as its request has gone, so that somebody certainly leaves before the answer.
        first = _first_to_leave(self.trial.scenario.phases[number]) == program.client
        walk_away = 0.0 if first else luck.uniform(0, self.usual_answer)
        patience = Patience(settings.operation_timeout, walk_away=walk_away)
        try:
            usable = await drive_program(
                self.clients[place],
                sale,
                program,
                phase=number,
                recorder=recorder,
                gate=gate,
                patience=patience,
            )
        finally:
            barrier.leave(gate)
        if not usable:
            del self.clients[place]


def _first_to_leave(phase: Phase) -> str | None:
    """Return the first client of a phase that goes away in the middle, if any does."""
    return next(
        (
            program.client
            for program in phase.programs
            if any(isinstance(each, Reserve) and each.disconnects for each in program.operations)
        ),
        None,
    )


@contextlib.asynccontextmanager
async def _watching(sampler: Auditor | None) -> AsyncIterator[None]:
    """Have the books read for as long as the block runs, where that is needed."""
    if sampler is None:
        yield
        return
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            await sampler.catch_up()
            await asyncio.sleep(0)

    # Its last reading is waited for, never cancelled: a cancelled one would haunt the connection.
    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        try:
            yield
        finally:
            over.set()
