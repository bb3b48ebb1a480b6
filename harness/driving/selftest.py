"""The self-test: implementations of known verdict before every engine, to judge the engines and the laws.

One server serves all; each specimen's schema is loaded into one template, and every check gets a copy, like
the checks of any other run. A wrong specimen is driven through the scenario that it claims, until a law is
broken that it claims to break; a right one through every scenario that it supports, or with an engine that
draws its own programs through those that leave it free to. Beside the engines stands the *script*, the test
that the story ends with: twenty buyers at once, one time, and nothing but the successes counted.

Rows are filled by *hands*, each one row at a time: :class:`Desk` does it here, and :data:`Hands` may be other
processes, one for each core, for a check is timed and must not share its event loop. What is not driven is a
cell that says why: :class:`Selftest` begins with all of them left out, and replaces each by what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol, TypeAlias

from harness.driving.checking import Subject, check, refusal
from harness.driving.guard import install
from harness.driving.script import Script
from harness.errors import InconclusiveError, TargetFailedError
from harness.laws import LAWS
from harness.model.events import CheckStarted, EvidenceKept, FailureKept, Noticed
from harness.model.matrix import Cell, Claim, Matrix, Row, Ruling, cell_of
from harness.postgres import Server, provision, redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Set
    from pathlib import Path

    from harness.driving.scenarios import ScenarioFile
    from harness.driving.trial import Engine, Settings
    from harness.model import Check, Scenario, Target
    from harness.model.events import Event, Listener

SCRIPT = "script"
"""The column of the story's own script."""
SCRIPT_SCENARIO = "rush"
QUICK_SCENARIO = "last_ticket"
"""What a right specimen is driven through when there is little time."""

_NOT_YET = "the run ended before this was done"


class Mistake(Protocol):
    """What a wrong specimen claims."""

    @property
    def laws(self) -> Set[str]:
        """The laws it breaks."""

    @property
    def scenario(self) -> str:
        """The scenario that shows it."""

    @property
    def engine(self) -> str:
        """The engine that surely does."""


class Specimen(Protocol):
    """An implementation of known verdict."""

    @property
    def name(self) -> str:
        """What ``specimen:NAME`` takes."""

    @property
    def target(self) -> Target:
        """The implementation."""

    @property
    def mistake(self) -> Mistake | None:
        """``None`` for a right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestPlan:
    """Whom to drive with what, how, and where."""

    specimens: tuple[Specimen, ...]
    engines: tuple[Engine, ...]
    """The columns."""
    known_engines: frozenset[str]
    """Names a claim may use."""
    scenarios: Mapping[str, ScenarioFile]
    settings: Settings
    """How hard to try with a wrong specimen, with the engine that it claims."""
    right_settings: Settings
    """And with a right one, in each of its many scenarios."""
    other_settings: Settings | None = None
    """And with a wrong one, with the engines that it does not claim; ``None`` when as hard."""
    right_scenarios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By engine: what a right specimen is driven through; everything, where an engine is not named."""
    quick: bool = False
    max_time: float = 1800.0
    """Seconds for everything together."""
    database: str = "auto"
    image: str | None = None
    disposable: bool = False


class Hand(Protocol):
    """Somebody who fills rows, one at a time."""

    async def fill(self, specimen: Specimen, tell: Callable[[str, Cell], None]) -> None:
        """Drive a specimen with everything that the plan says, and tell of each cell as it is filled.

        :param tell: takes the name of the column, and the cell.
        :raises InconclusiveError: when no further row can be filled.
        """


Hands: TypeAlias = Callable[[Server], AbstractAsyncContextManager[Sequence[Hand]]]
"""Brings up the hands that work on a server, for the length of a block."""


@dataclass(slots=True)
class _Line:
    """A row that is being filled."""

    specimen: Specimen
    claim: Claim | None
    cells: dict[str, Cell]
    script: Cell
    faults: tuple[str, ...]

    def fill(self, column: str, cell: Cell) -> None:
        if column == SCRIPT:
            self.script = cell
        else:
            self.cells[column] = cell

    def row(self) -> Row:
        return Row(
            specimen=self.specimen.name,
            claim=self.claim,
            cells=dict(self.cells),
            script=self.script,
            faults=self.faults,
        )


class Selftest:
    """One self-test. :meth:`matrix` says at any time what is known, however it ended."""

    def __init__(
        self,
        plan: SelftestPlan,
        *,
        folder: Path,
        listen: Listener,
        tell: Callable[[Row, str], None],
        hands: Hands | None = None,
    ) -> None:
        """Make every cell, each left out as yet.

        :param folder: an existing folder for logs.
        :param listen: hears notices and keeps evidence and failures.
        :param tell: is told of each cell that was filled: its row, and its column.
        :param hands: who fills the rows; without any, one after another is filled here.
        """
        self._plan, self._folder, self._listen, self._tell = plan, folder, listen, tell
        self._hands = hands or self._own_hand
        self._started = datetime.now(UTC)
        self._begun = time.monotonic()
        self._database = redact(plan.database)
        self._jobs = 1
        self._troubles: list[str] = []
        self._lines = [self._line(specimen) for specimen in plan.specimens]

    async def run(self) -> None:
        """Fill every cell, as far as there is time and a server.

        :raises UsageError: when no database can be had as asked.
        :raises asyncio.CancelledError: when interrupted.
        """
        plan = self._plan
        limit = asyncio.timeout(plan.max_time)
        try:
            async with (
                limit,
                provision(
                    plan.database,
                    image=plan.image,
                    disposable=plan.disposable,
                    notice=lambda message: self._listen(Noticed(message=message)),
                ) as server,
                self._hands(server) as hands,
            ):
                self._database = server.description
                await self._share_out(server, hands)
        except InconclusiveError as error:
            self._troubles.append(str(error))
        except TimeoutError:
            if not limit.expired():
                raise
            self._troubles.append(f"the time budget of {plan.max_time:g} s was used up")
        except asyncio.CancelledError:
            self._troubles.append("interrupted before it was done")
            raise

    def matrix(self) -> Matrix:
        """Return what is known by now."""
        return Matrix(
            engines=tuple(engine.name for engine in self._plan.engines),
            rows=tuple(line.row() for line in self._lines),
            quick=self._plan.quick,
            seed=self._plan.settings.seed,
            database=self._database,
            started=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._begun, 3),
            jobs=self._jobs,
            troubles=tuple(self._troubles),
        )

    def _line(self, specimen: Specimen) -> _Line:
        claim = claim_of(specimen)
        waiting = Cell(ruling=Ruling.LEFT_OUT, reason=_NOT_YET)
        return _Line(
            specimen=specimen,
            claim=claim,
            cells={engine.name: waiting for engine in self._plan.engines},
            script=waiting,
            faults=self._faults(claim) if claim else (),
        )

    def _faults(self, claim: Claim) -> tuple[str, ...]:
        """Say what a claim names that does not exist."""
        unknown = [law for law in claim.laws if law not in LAWS.entries]
        faults = [f"it claims to break {law}, and there is no law of that name" for law in unknown]
        if not claim.laws:
            faults.append("it claims to break no law at all")
        if claim.scenario not in self._plan.scenarios:
            faults.append(f"it claims {claim.scenario}, and there is no scenario of that name")
        if claim.engine not in self._plan.known_engines:
            faults.append(f"it claims {claim.engine}, and there is no engine of that name")
        return tuple(faults)

    async def _share_out(self, server: Server, hands: Sequence[Hand]) -> None:
        """Give each hand a row whenever it has filled one. The first error of any ends them all."""
        self._jobs = len(hands)
        # With several hands the long rows come first, so that nobody works alone at the end.
        todo = deque(sorted(self._lines, key=lambda line: len(hands) > 1 and line.claim is not None))
        try:
            async with asyncio.TaskGroup() as group:
                for hand in hands:
                    group.create_task(self._work(server, hand, todo))
        except ExceptionGroup as errors:
            ours = (error for error in errors.exceptions if not isinstance(error, InconclusiveError))
            raise next(ours, errors.exceptions[0]) from None

    async def _work(self, server: Server, hand: Hand, todo: deque[_Line]) -> None:
        while todo:
            line = todo.popleft()

            def tell(column: str, cell: Cell, line: _Line = line) -> None:
                line.fill(column, cell)
                self._tell(line.row(), column)

            await hand.fill(line.specimen, tell)
            if not await server.alive():
                raise InconclusiveError("Postgres went away")

    @contextlib.asynccontextmanager
    async def _own_hand(self, server: Server) -> AsyncIterator[Sequence[Hand]]:
        yield (Desk(self._plan, server, folder=self._folder, listen=self._listen),)


def claim_of(specimen: Specimen) -> Claim | None:
    """Return what a specimen says of itself; ``None`` for a right one."""
    mistake = specimen.mistake
    if mistake is None:
        return None
    return Claim(laws=tuple(sorted(mistake.laws)), scenario=mistake.scenario, engine=mistake.engine)


class Desk:
    """A hand that fills rows in this process."""

    def __init__(self, plan: SelftestPlan, server: Server, *, folder: Path, listen: Listener) -> None:
        """Take a seat.

        :param folder: an existing folder for logs.
        :param listen: keeps evidence and failures.
        """
        self._plan, self._server, self._folder, self._listen = plan, server, folder, listen

    async def fill(self, specimen: Specimen, tell: Callable[[str, Cell], None]) -> None:
        """Fill one row. A specimen that cannot be installed leaves the other rows alone."""
        plan, target = self._plan, specimen.target
        async with contextlib.AsyncExitStack() as stack:
            try:
                template = await stack.enter_async_context(
                    self._server.template(lambda url: install(target, url), label=specimen.name)
                )
            except TargetFailedError as error:
                failed = Cell(ruling=Ruling.INCONCLUSIVE, reason=str(error))
                for column in (*(engine.name for engine in plan.engines), SCRIPT):
                    tell(column, failed)
                return
            bench = _Bench(self._server, template, specimen, self._folder, plan.settings, self._listen)
            for engine in plan.engines:
                tell(engine.name, await self._cell(bench, engine))
            tell(SCRIPT, await self._script(bench))

    async def _cell(self, bench: _Bench, engine: Engine) -> Cell:
        """Drive one specimen with one engine."""
        claim = claim_of(bench.specimen)
        if claim is not None and self._plan.quick and claim.engine != engine.name:
            reason = f"a quick self-test drives it with {claim.engine} only"
            return Cell(ruling=Ruling.NOT_RUN, reason=reason)
        if claim is not None and claim.scenario not in self._plan.scenarios:
            return Cell(ruling=Ruling.NOT_RUN, reason=f"there is no scenario {claim.scenario}")
        scenarios = [file.build(engine.crowd(self._plan.settings)) for file in self._files(claim, engine)]
        refusals = {scenario.name: refusal(scenario, engine, bench.specimen.target) for scenario in scenarios}
        skipped = tuple(f"{name}: {reason}" for name, reason in refusals.items() if reason is not None)
        if len(skipped) == len(scenarios):
            return Cell(ruling=Ruling.NOT_RUN, reason="; ".join(skipped), skipped=skipped)
        if claim is None:
            bench = replace(bench, settings=self._plan.right_settings)
        else:
            others = self._plan.other_settings or self._plan.settings
            settings = self._plan.settings if claim.engine == engine.name else others
            bench = replace(bench, settings=replace(settings, until=claim.laws))
        checks = [
            await bench.check(scenario, engine) for scenario in scenarios if refusals[scenario.name] is None
        ]
        return replace(cell_of(claim, checks, bench.shown), skipped=skipped)

    def _files(self, claim: Claim | None, engine: Engine) -> Sequence[ScenarioFile]:
        """Return the scenarios a specimen is driven through."""
        if claim is not None:
            return [self._plan.scenarios[claim.scenario]]
        if self._plan.quick:
            return [self._plan.scenarios[QUICK_SCENARIO]]
        names = self._plan.right_scenarios.get(engine.name, tuple(self._plan.scenarios))
        return [self._plan.scenarios[name] for name in names]

    async def _script(self, bench: _Bench) -> Cell:
        """Run the story's script."""
        script = Script()
        scenario = self._plan.scenarios[SCRIPT_SCENARIO].build(script.crowd(self._plan.settings))
        reason = refusal(scenario, script, bench.specimen.target)
        if reason is not None:
            return Cell(ruling=Ruling.NOT_RUN, reason=reason)
        done = await bench.check(scenario, script)
        return count_cell(claim_of(bench.specimen), scenario, script.accepted, done)


def count_cell(claim: Claim | None, scenario: Scenario, accepted: int | None, done: Check) -> Cell:
    """Judge as the story's script does: exactly as many successes as there were tickets.

    :param accepted: the successes; ``None`` when the script did not come to its end.
    :param done: says why not, and how long it took.
    """
    if accepted is None:
        reason = "; ".join(done.reasons)
        return Cell(ruling=Ruling.INCONCLUSIVE, seconds=done.seconds, reason=reason)
    tickets = sum(ticket.initial for ticket in scenario.tickets)
    if accepted == tickets:
        ruling = Ruling.CLEARED if claim is None else Ruling.SURVIVED
    else:
        ruling = Ruling.ACCUSED if claim is None else Ruling.KILLED
    return Cell(
        ruling=ruling,
        scenario=scenario.name,
        run=int(accepted != tickets),
        runs=1,
        seconds=done.seconds,
        reason=f"{accepted} accepted, {tickets} tickets",
    )


@dataclass(slots=True)
class _Bench:
    """One specimen, its schema loaded, ready to be checked."""

    server: Server
    template: str
    specimen: Specimen
    folder: Path
    settings: Settings
    listen: Listener
    shown: dict[tuple[str, int], float] = field(default_factory=dict)
    """Seconds into its check after which a scenario and run of the engine at work first showed something."""
    begun: float = 0.0

    async def check(self, scenario: Scenario, engine: Engine) -> Check:
        """Check it on a copy of its own; evidence is kept under the specimen's name."""
        subject = Subject(
            target=self.specimen.target,
            name=f"specimen:{self.specimen.name}",
            folder=self.folder,
            settings=self.settings,
        )
        database = self.server.clone(self.template, f"{self.specimen.name}_{engine.name}")
        done = await check(subject, scenario, engine, database=database, listen=self.hear)
        kept = (
            replace(each, evidence=each.evidence and self.place(each.evidence)) for each in done.violations
        )
        return replace(done, violations=tuple(kept))

    def hear(self, event: Event) -> None:
        """Note when something was shown first, and pass on what is to be kept."""
        match event:
            case CheckStarted():
                self.begun = time.monotonic()
            case EvidenceKept():
                self.shown[event.scenario, event.run] = time.monotonic() - self.begun
                self.listen(replace(event, path=self.place(event.path)))
            case FailureKept():
                self.listen(event)
            case _:
                pass

    def place(self, path: str) -> str:
        """Return where a file belongs that several specimens have."""
        return f"evidence/{self.specimen.name}-{PurePath(path).name}"
