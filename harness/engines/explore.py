"""explore: every inequivalent interleaving, one after another, by rule.

The target runs behind a proxy that stands between it and Postgres, so any server in any language will do,
unchanged. Every statement and every commit of its requests is held there, and let through in an order that
the engine chooses. Orders that differ only in steps that cannot matter to each other are run once. When
nothing is left to run, no order breaks a law for that many buyers, as far as the database can tell.

Phases with more than one program are explored one by one; the programs of the other phases then run one
after another.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.driving.guard import works_in_place
from harness.exploring.conflicts import Isolation
from harness.exploring.exploration import Budget, Exploration
from harness.exploring.stage import stage
from harness.model import Feature

if TYPE_CHECKING:
    from harness.driving.trial import Settings, Trial
    from harness.exploring.stage import Stage
    from harness.model import Scenario, Target

_BUYERS = 2


@dataclass(frozen=True, slots=True)
class Explore:
    """The engine; see the module."""

    name: str = "explore"
    doc: str = __doc__ or ""

    def crowd(self, settings: Settings) -> int | None:
        """Take two buyers unless somebody asks for more: most races need no third."""
        return settings.buyers or _BUYERS

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Leave out what happens at the client's end of the line, and targets it cannot stand before."""
        if works_in_place(target):
            return "the target is connected to its database already, so nothing can stand between them"
        if Feature.DISCONNECT in scenario.needs:
            return "a client that goes away is no order of statements"
        return None

    async def drive(self, trial: Trial) -> None:
        """Explore phase by phase, until a law is broken or nothing is left."""
        settings = trial.settings
        budget = Budget(schedules=settings.schedules, until=time.monotonic() + settings.explore_time)
        phases = [number for number, phase in enumerate(trial.scenario.phases) if len(phase.programs) > 1]
        async with stage(
            trial.database,
            trial.start,
            isolation=settings.isolation,
            timeout=settings.operation_timeout,
        ) as made:
            explorations = [await _exploration(made, trial, number) for number in phases or [0]]
            for exploration in explorations:
                async for performance in exploration.performances(budget):
                    broken = trial.tally.add(performance.evidence)
                    if performance.stuck or (broken and not settings.every_violation):
                        break
                if trial.tally.hits and not settings.every_violation:
                    break
        trial.tally.schedules = sum(exploration.schedules for exploration in explorations)
        trial.tally.orders = sum(exploration.orders for exploration in explorations)
        trial.tally.exhausted = all(exploration.exhausted for exploration in explorations)


async def _exploration(made: Stage, trial: Trial, phase: int) -> Exploration:
    isolation = trial.settings.isolation
    level = Isolation[isolation.replace(" ", "_").upper()] if isolation else Isolation.READ_COMMITTED
    return Exploration(
        made,
        trial.scenario,
        phase,
        await made.monitor.conflicts(level),
        preemptions=trial.settings.preemptions,
    )


ENGINE = Explore()
