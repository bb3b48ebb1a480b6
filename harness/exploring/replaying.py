"""Replaying: a recorded schedule run again, and what it says.

The very schedule is followed first. When the target does other steps than were recorded, as it will after
its code was changed, the schedule says nothing about it; then every schedule of the failure's scenario is
run instead, which is small, so that a fix can be told from a difference.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING

from harness.driving.guard import install, started
from harness.exploring.conductor import DivergedError
from harness.exploring.exploration import ATTEMPTS, Budget, Exploration
from harness.exploring.stage import stage
from harness.laws import judge
from harness.model import Step
from harness.postgres import provision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.exploring.events import Event, Trace
    from harness.exploring.stage import Performance, Stage
    from harness.model import Evidence, Failure, Target, Violation

_SCHEDULES = 2000
_SECONDS = 60.0
_TIMEOUT = 10.0


class ReplayOutcome(StrEnum):
    """What a replay came to."""

    FIXED = "fixed"
    STILL_FAILS = "still fails"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A replay, judged."""

    outcome: ReplayOutcome
    steps: tuple[Step, ...]
    """What was done this time."""
    message: str
    """What the broken law says, or why it counts as fixed."""
    difference: str = ""
    """The first step that was not as recorded."""
    evidence: Evidence | None = None


@dataclass(slots=True)
class Recording:
    """Chooses as was chosen before."""

    choices: Sequence[str]
    lenient: bool = False
    """Where the one who was chosen cannot go, take another: the target does other steps now."""
    _made: int = field(default=0)

    def __call__(self, able: frozenset[str], _fresh: frozenset[str], _steps: Sequence[Event]) -> str | None:
        """Return who goes next; ``None`` after the last choice."""
        self._made += 1
        if self._made > len(self.choices):
            return None
        chosen = self.choices[self._made - 1]
        return min(able) if self.lenient and chosen not in able else chosen


def earlier_schedules(failure: Failure, *, lenient: bool = False) -> dict[int, Recording]:
    """Return the schedules of the phases that came before the failure's own."""
    return {
        phase: Recording(choices, lenient)
        for phase, choices in enumerate(failure.earlier)
        if choices and phase != failure.phase
    }


async def replay_failure(
    failure: Failure,
    target: Target,
    *,
    database: str,
    folder: Path,
    image: str | None = None,
    disposable: bool = False,
    notice: Callable[[str], None],
    times: int = 1,
    tls: bool = False,
) -> list[Replayed]:
    """Bring up a database and run a failure again on it, so many times.

    :raises UsageError: when no database can be had as asked.
    :raises InconclusiveError: when the target fails in a way that is not about the schedule.
    """
    async with provision(database, image=image, disposable=disposable, notice=notice) as server:
        template = await server.create_template(lambda url: install(target, url))
        async with (
            server.clone(template, "replay") as clone,
            stage(
                clone,
                lambda url: started(target, url, folder),
                isolation=failure.isolation,
                timeout=_TIMEOUT,
                tls=tls,
            ) as made,
        ):
            return [await replay(made, failure) for _ in range(times)]


async def replay(made: Stage, failure: Failure) -> Replayed:
    """Run a failure again on a stage."""
    try:
        performance = await perform_again(made, failure)
    except DivergedError as error:
        return await _explore_instead(made, failure, str(error))
    steps = steps_of(performance.trace)
    broken = broken_again(performance.evidence, failure)
    difference = first_difference(failure.steps, steps)
    if broken:
        return Replayed(
            outcome=ReplayOutcome.STILL_FAILS,
            steps=steps,
            message=broken[0].message,
            difference=difference,
            evidence=performance.evidence,
        )
    if difference:
        return await _explore_instead(made, failure, difference)
    message = "the same steps in the same order no longer break the law"
    return Replayed(outcome=ReplayOutcome.FIXED, steps=steps, message=message, evidence=performance.evidence)


async def perform_again(made: Stage, failure: Failure) -> Performance:
    """Follow the failure's schedule once; where clients overtook each other in a line, try again.

    :raises DivergedError: when a client that was let go then cannot go now, a few times in a row.
    """
    isolation = (await made.monitor.conflicts(failure.isolation)).isolation
    for attempt in range(ATTEMPTS):
        try:
            performance = await made.perform(
                failure.scenario,
                failure.phase,
                Recording(failure.choices),
                isolation,
                earlier_schedules(failure),
            )
        except DivergedError:
            if attempt == ATTEMPTS - 1:
                raise
            continue
        if not performance.overtaken:
            return performance
    raise DivergedError("clients overtook each other every time")


def broken_again(evidence: Evidence, failure: Failure) -> tuple[Violation, ...]:
    """Return the violations of the failure's first law, which is the one it is about."""
    return judge(evidence, failure.laws[:1]).violations


def steps_of(trace: Trace) -> tuple[Step, ...]:
    """Return a trace as data."""
    return tuple(
        Step(
            client=event.client,
            kind=event.kind.value,
            statement=event.label,
            shape=event.shape,
            waited_for=tuple(sorted({transaction.client for transaction in event.waited_for})),
            failed=event.failed,
            decision=event.decision,
        )
        for event in trace.events
    )


def answers_of(evidence: Evidence, phase: int) -> dict[str, tuple[str, ...]]:
    """Return what each client of a phase was told, operation by operation."""
    told: dict[str, tuple[str, ...]] = {}
    for call in evidence.history:
        if call.phase == phase:
            told[call.client] = (*told.get(call.client, ()), call.outcome.value)
    return told


def first_difference(before: Sequence[Step], now: Sequence[Step]) -> str:
    """Say which step is the first that was not as recorded; empty when none is."""
    for place, (old, new) in enumerate(zip_longest(before, now), start=1):
        was, is_ = _say(old), _say(new)
        if was != is_:
            return f"step {place} was {was}, and is {is_}"
    return ""


def _say(step: Step | None) -> str:
    return f"{step.client}: {step.shape}" if step is not None else "nothing"


async def _explore_instead(made: Stage, failure: Failure, difference: str) -> Replayed:
    """Run every schedule of the failure's scenario, since the recorded one does not fit any more."""
    exploration = Exploration(
        made,
        failure.scenario,
        failure.phase,
        await made.monitor.conflicts(failure.isolation),
        earlier=lambda: earlier_schedules(failure, lenient=True),
    )
    budget = Budget(schedules=_SCHEDULES, until=time.monotonic() + _SECONDS)
    steps: tuple[Step, ...] = ()
    async for performance in exploration.performances(budget):
        steps = steps_of(performance.trace)
        broken = broken_again(performance.evidence, failure)
        if broken:
            return Replayed(
                outcome=ReplayOutcome.STILL_FAILS,
                steps=steps,
                message=f"in another schedule: {broken[0].message}",
                difference=difference,
                evidence=performance.evidence,
            )
    if exploration.exhausted:
        message = (
            f"the target does other steps now, and none of the {exploration.schedules} schedules of this "
            "scenario breaks the law"
        )
        return Replayed(outcome=ReplayOutcome.FIXED, steps=steps, message=message, difference=difference)
    return Replayed(
        outcome=ReplayOutcome.DIVERGED,
        steps=steps,
        message="the target does other steps now, and not every schedule of them could be run",
        difference=difference,
    )
