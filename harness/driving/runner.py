"""The runner: strings checks together into one run with one verdict.

Postgres is brought up once, the target's schema is loaded into one template, and every check gets a copy.
Whatever goes wrong on the way that is neither the person's fault nor a bug of ours becomes a reason of an
inconclusive verdict; what had been found before it stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from harness.driving.checking import Subject, check, refusal
from harness.driving.guard import install, starts_concurrently, works_in_place
from harness.driving.trial import Engine, Settings
from harness.errors import InconclusiveError, UsageError
from harness.laws import LAWS
from harness.model import Check, NotRun, Report, Scenario, Target
from harness.model.events import CheckFinished, CheckSkipped, Noticed, RunFinished, RunStarted
from harness.model.verdict import combine
from harness.postgres import provision, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from harness.driving.scenarios import ScenarioFile
    from harness.model.events import Event, Listener
    from harness.postgres import Server

BESIDES = 60.0
"""Seconds for what no engine does: copying, starting and ending targets, making failures small. Less where
there is little time."""
_MOST_BESIDES, _LAST_BESIDES = 0.3, 5.0
"""The largest part of what is left that is kept for it; at the end it may be half, up to so many seconds."""

Copies: TypeAlias = "Callable[[str], AbstractAsyncContextManager[str]]"
"""Makes the database of one check by a label, and yields its URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to drive, how, and where."""

    target: Target
    scenarios: tuple[ScenarioFile, ...]
    engines: tuple[Engine, ...]
    asked_for: frozenset[str] = frozenset()
    """Scenarios that the person named; leaving one of them out leaves a question open."""
    laws: tuple[str, ...] | None = None
    settings: Settings = field(default_factory=Settings)
    max_time: float = 300.0
    """Seconds for all checks together."""
    database: str = "auto"
    image: str | None = None
    disposable: bool = False
    spec: str = ""
    """What ``--target`` was given, by which a report or a replay names the target; else its own name."""

    @property
    def target_name(self) -> str:
        """What reports call the target, and what ``--target`` takes where there is such a word."""
        return self.spec or self.target.name

    def subject(self, folder: Path, left: float, turns: int) -> Subject:
        """Return whom the next check of the plan is about; logs go into ``folder``.

        :param left: seconds that are left for this check and those after it.
        :param turns: into how many parts these are shared out: one for each check, where none is made
            beside another.
        """
        besides = max(min(BESIDES, _MOST_BESIDES * left), min(_LAST_BESIDES, left / 2))
        return Subject(
            target=self.target,
            name=self.target_name,
            folder=folder,
            settings=replace(self.settings, share=(left - besides) / turns),
            laws=self.laws,
        )


async def run(plan: Plan, *, folder: Path, listen: Listener) -> Report:
    """Drive every scenario with every engine and return the report.

    :param folder: an existing folder for logs and evidence.
    :raises UsageError: when no database can be had as asked, or a law is named that does not exist.
    :raises asyncio.CancelledError: when interrupted; the report has been handed to ``listen`` before.
    """
    for names in (plan.laws, *(file.build().laws for file in plan.scenarios)):
        for name in names or ():
            LAWS.get(name)
    run_ = _Run(plan, folder, listen)
    try:
        async with provision(
            plan.database,
            image=plan.image,
            disposable=plan.disposable,
            notice=lambda message: listen(Noticed(message=message)),
        ) as server:
            run_.database = server.description
            await run_.all_checks(server)
    except InconclusiveError as error:
        run_.troubles.append(str(error))
    except asyncio.CancelledError:
        run_.troubles.append("interrupted before it was done")
        run_.finish()
        raise
    return run_.finish()


def possible(plan: Plan, file: ScenarioFile) -> list[tuple[Scenario, Engine, NotRun | None]]:
    """Return a scenario for each engine of the plan, and why that cannot drive it, where it cannot."""
    built = [(file.build(engine.crowd(plan.settings)), engine) for engine in plan.engines]
    reasons = [refusal(scenario, engine, plan.target) for scenario, engine in built]
    # Who asked for a scenario has an answer when one engine could drive it.
    unanswered = file.name in plan.asked_for and None not in reasons
    return [
        (
            scenario,
            engine,
            None if reason is None else _not_run(scenario, engine, reason, asked_for=unanswered),
        )
        for (scenario, engine), reason in zip(built, reasons, strict=True)
    ]


async def copies(server: Server, plan: Plan) -> Copies:
    """Load the target's schema into a template, and return what makes copies of it, by their label.

    A target that works in place gets the database it is connected to, every time.

    :raises UsageError: when that is not the database that was named.
    """
    target = plan.target
    if works_in_place(target):
        if server.kind != "url":
            raise UsageError(
                f"{target.name} is connected to a database of its own: name it with --database postgresql://…"
            )
        return lambda _: contextlib.nullcontext(plan.database)
    template = await server.create_template(lambda url: install(target, url))
    return lambda label: server.clone(template, label)


class _Run:
    """The state of one run."""

    def __init__(self, plan: Plan, folder: Path, listen: Listener) -> None:
        self.plan, self.folder, self.listen = plan, folder, listen
        self.database = redact(plan.database)
        self.started = datetime.now(UTC)
        self.begun = time.monotonic()
        self.order: list[tuple[str, str]] = []
        """Scenario and engine of every check, in the order in which they begin."""
        self.checks: list[Check] = []
        self.not_run: list[NotRun] = []
        self.troubles: list[str] = []

    async def all_checks(self, server: Server) -> None:
        """Make every check: first those that take the machine for themselves, then several at a time."""
        alone: deque[tuple[Scenario, Engine]] = deque()
        beside: deque[tuple[Scenario, Engine]] = deque()
        for scenario, engine in self._drivable():
            (beside if self._lanes(engine) > 1 else alone).append((scenario, engine))
        lanes = max((self._lanes(engine) for _, engine in beside), default=1)
        self.order = [(scenario.name, engine.name) for scenario, engine in (*alone, *beside)]
        self.listen(
            RunStarted(
                target=self.plan.target_name,
                database=self.database,
                seed=self.plan.settings.seed,
                folder=self.folder,
                checks=tuple(self.order),
            )
        )
        for skip in self.not_run:
            self.listen(CheckSkipped(not_run=skip))
        if not self.order:
            return
        make_copy = await copies(server, self.plan)

        async def drive(todo: deque[tuple[Scenario, Engine]]) -> None:
            while todo:
                turns = len(alone) + math.ceil(len(beside) / lanes)
                subject = self.plan.subject(self.folder, self._left, turns)
                scenario, engine = todo.popleft()
                database = make_copy(f"{scenario.name}_{engine.name}")
                await check(subject, scenario, engine, database=database, listen=self._keep)
                if todo and not await server.alive():
                    left = (*alone, *beside)
                    alone.clear()
                    beside.clear()
                    self._leave_out(left, "Postgres went away")

        limit = asyncio.timeout(self._left)
        try:
            async with limit:
                await drive(alone)
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(min(lanes, len(beside))):
                        tasks.create_task(drive(beside))
        except TimeoutError:
            if not limit.expired():
                raise
            self._leave_out((*alone, *beside), f"the time budget of {self.plan.max_time:g} s was used up")

    def finish(self) -> Report:
        """Make the report, and tell whoever listens."""
        # Those that were made beside one another came to their end in any order.
        self.checks.sort(key=lambda check: self.order.index((check.scenario, check.engine)))
        verdict, reasons = combine(self.checks, self.not_run, self.troubles)
        report = Report(
            verdict=verdict,
            reasons=reasons,
            target=self.plan.target_name,
            database=self.database,
            seed=self.plan.settings.seed,
            started=self.started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self.begun, 3),
            checks=tuple(self.checks),
            not_run=tuple(self.not_run),
        )
        self.listen(RunFinished(report=report, folder=self.folder))
        return report

    def _drivable(self) -> Iterator[tuple[Scenario, Engine]]:
        """Yield what can be driven against this target; the rest is noted as not run."""
        for file in self.plan.scenarios:
            for scenario, engine, not_run in possible(self.plan, file):
                if not_run is None:
                    yield scenario, engine
                else:
                    self.not_run.append(not_run)

    @property
    def _left(self) -> float:
        """Seconds of the time budget that are left."""
        return self.plan.max_time - (time.monotonic() - self.begun)

    def _keep(self, event: Event) -> None:
        """Keep what a check came to, and pass on everything it tells."""
        if isinstance(event, CheckFinished):
            self.checks.append(event.check)
        self.listen(event)

    def _lanes(self, engine: Engine) -> int:
        """Return how many checks of an engine are made at a time."""
        return engine.abreast if starts_concurrently(self.plan.target) else 1

    def _leave_out(self, todo: Iterable[tuple[Scenario, Engine]], reason: str) -> None:
        for scenario, engine in todo:
            self.not_run.append(_not_run(scenario, engine, reason, asked_for=True))
            self.listen(CheckSkipped(not_run=self.not_run[-1]))


def _not_run(scenario: Scenario, engine: Engine, reason: str, *, asked_for: bool) -> NotRun:
    return NotRun(scenario=scenario.name, engine=engine.name, reason=reason, asked_for=asked_for)
