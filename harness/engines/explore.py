"""explore: every inequivalent interleaving, one after another, by rule.

The target runs behind a proxy that stands between it and Postgres, so any server in any language will do,
unchanged. Every statement and every commit of its requests is held there, and let through in an order that
the engine chooses. Orders that differ only in steps that cannot matter to each other are run once. When
nothing is left to run, no order breaks a law for that many buyers, as far as the database can tell.

Phases with more than one program are explored one by one; the programs of the other phases then run one
after another.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.exploring.exploration import Budget, Exploration
from harness.exploring.pct import draw, probability
from harness.exploring.shrinking import Found, make_failure
from harness.exploring.stage import no_stage, stage

if TYPE_CHECKING:
    from harness.driving.trial import Settings, Trial
    from harness.exploring.conflicts import Conflicts
    from harness.exploring.stage import Stage
    from harness.model import Scenario, Target

_BUYERS = 2
_SHRINKING = 15.0
"""Seconds for making a failure small."""


@dataclass(frozen=True, slots=True)
class Explore:
    """The engine; see the module."""

    name: str = "explore"
    doc: str = __doc__ or ""
    by_default: bool = True
    abreast: int = 1

    def crowd(self, settings: Settings) -> int | None:
        """Take two buyers unless somebody asks for more: most races need no third."""
        return settings.buyers or _BUYERS

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Leave out what cannot be put on a stage."""
        return no_stage(scenario, target)

    async def drive(self, trial: Trial) -> None:
        """Explore phase by phase, until a law is broken or nothing is left."""
        settings = trial.settings
        seconds = min(settings.explore_time, settings.share)
        budget = Budget(schedules=settings.schedules, until=time.monotonic() + seconds)
        async with stage(
            trial.database,
            trial.start,
            isolation=settings.isolation,
            timeout=settings.operation_timeout,
            tls=settings.proxy_tls,
        ) as made:
            conflicts = await made.monitor.conflicts(settings.isolation)
            explorations = [
                Exploration(made, trial.scenario, phase, conflicts, settings.preemptions)
                for phase in racing_phases(trial.scenario)
            ]
            if settings.pct is None:
                await self._run_all(trial, explorations, budget)
            else:
                await self._draw(trial, made, conflicts, budget, settings.pct)
            trial.tally.troubles += [] if trial.tally.runs else ["the budget left no schedule to run"]

    async def _run_all(self, trial: Trial, explorations: list[Exploration], budget: Budget) -> None:
        """Run every inequivalent schedule of each phase, as far as the budget goes."""
        try:
            for exploration in explorations:
                async for performance in exploration.performances(budget):
                    found = Found(exploration.scenario, exploration.phase, performance)
                    broken = await self._judge(trial, exploration.stage, found, exploration.conflicts)
                    if performance.stuck or _is_enough(trial, broken):
                        return
        finally:
            tally = trial.tally
            tally.schedules = sum(exploration.schedules for exploration in explorations)
            tally.orders = sum(exploration.orders for exploration in explorations)
            tally.exhausted = all(exploration.exhausted for exploration in explorations)
            tally.troubles += [each.moods for each in explorations if each.moods is not None]

    async def _draw(
        self, trial: Trial, made: Stage, conflicts: Conflicts, budget: Budget, depth: int
    ) -> None:
        """Run schedules drawn at random, each phase in turn, until the budget is spent."""
        scenario, settings = trial.scenario, trial.settings
        phases = racing_phases(scenario)
        steps: dict[int, int] = {}
        runs = 0
        while not budget.spent:
            phase = phases[runs % len(phases)]
            clients = [program.client for program in scenario.phases[phase].programs]
            luck = random.Random(f"{settings.seed}/{scenario.name}/{runs}")  # noqa: S311  # repeatable
            chooser = draw(luck, clients, depth if phase in steps else 1, steps.get(phase, 1))
            budget.schedules -= 1
            performance = await made.perform(scenario, phase, chooser)
            steps[phase] = max(steps.get(phase, 1), len(performance.trace.chosen))
            runs += 1
            broken = await self._judge(trial, made, Found(scenario, phase, performance), conflicts)
            if performance.stuck or _is_enough(trial, broken):
                break
        chances = [
            probability(runs // len(phases), len(scenario.phases[phase].programs), steps[phase], depth)
            for phase in phases
            if phase in steps
        ]
        trial.tally.schedules, trial.tally.exhausted = runs, False
        trial.tally.probability = min(chances, default=None)

    async def _judge(self, trial: Trial, made: Stage, found: Found, conflicts: Conflicts) -> bool:
        """Have a run judged; the first that breaks a law not yet seen is made small and kept."""
        tally = trial.tally
        before = tally.broken
        broken = tally.add(found.performance.evidence)
        tally.commits += found.performance.commits
        new = [law for law in tally.broken if law not in before]
        if new and not found.performance.stuck:
            failure = await make_failure(
                made,
                found,
                conflicts,
                law=new[0],
                target=trial.target,
                isolation=trial.settings.isolation,
                until=time.monotonic() + _SHRINKING,
            )
            tally.can_be_replayed(failure)
        return broken


def racing_phases(scenario: Scenario) -> list[int]:
    """Return the phases in which there is something to order: those with several programs.

    A scenario without any has its first phase run, in the one order there is.
    """
    return [number for number, phase in enumerate(scenario.phases) if len(phase.programs) > 1] or [0]


def _is_enough(trial: Trial, broken: bool) -> bool:
    """Say whether to stop after a run: at the first that breaks a law, unless somebody says otherwise."""
    if trial.settings.until is not None:
        return trial.is_over
    return broken and not trial.settings.every_violation


ENGINE = Explore()
