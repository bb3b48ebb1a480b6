"""Shrinking: the smallest scenario in which the same faults break the same law, as a failure to keep."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.exploring.replaying import answers_of
from harness.exploring.shrinking import id_of, violation_of
from harness.faulting.telling import told
from harness.laws import judge
from harness.model import Failure, Phase, Program, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.faulting.fault import Fault
    from harness.faulting.performing import Performance
    from harness.faulting.theatre import House
    from harness.model import Injection, Scenario, Violation

REPLAYS = 5
"""How often a failure is run again before it is reported, where there is time."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A run in which faults broke a law."""

    scenario: Scenario
    injections: tuple[Injection, ...]
    performance: Performance


async def make_failure(
    house: House, broken: Broken, *, law: str, target: str, isolation: str | None, until: float
) -> Failure:
    """Shrink what was found, run it again a few times, and return it as a failure to keep.

    :param until: the moment of the monotonic clock, in seconds, from which it is taken as it is.
    """
    broken = await _smaller(house, broken, law, until)
    failure = failure_of(house.faults, broken, law=law, target=target, isolation=isolation)
    replayed = reproduced = 0
    while replayed < REPLAYS and (replayed == 0 or time.monotonic() < until):
        theatre = await house.theatre(broken.injections)
        performance = await theatre.perform(broken.scenario, broken.injections)
        replayed += 1
        reproduced += bool(breaks(performance, broken.injections, law))
    return replace(failure, replayed=replayed, reproduced=reproduced)


def breaks(performance: Performance, injections: tuple[Injection, ...], law: str) -> tuple[Violation, ...]:
    """Return how a run breaks a law, given that all faults fired."""
    if len(performance.fired) < len(injections) or performance.unjudged:
        return ()
    return judge(performance.evidence, [law]).violations


def failure_of(
    faults: Mapping[str, Fault], broken: Broken, *, law: str, target: str, isolation: str | None
) -> Failure:
    """Return a run in which faults broke a law as a failure to keep, not yet run again."""
    evidence = broken.performance.evidence
    first, laws = violation_of(evidence, law)
    phase = broken.injections[0].phase
    return Failure(
        id=id_of(target, broken.scenario, (broken.injections,), isolation=isolation, law=law),
        target=target,
        scenario=broken.scenario,
        phase=phase,
        isolation=isolation,
        choices=(),
        steps=steps_of(broken.performance, phase),
        laws=laws,
        message=f"{told(broken.injections, broken.scenario, faults)}: {first.message}",
        replayed=0,
        reproduced=0,
        preemptions=0,
        answers=answers_of(evidence, phase),
        faults=broken.injections,
    )


def steps_of(performance: Performance, phase: int) -> tuple[Step, ...]:
    """Return what was done in a phase as data."""
    return tuple(
        Step(
            client=request.client,
            kind="commit" if step.ends_transaction else "execute",
            statement=f"commit of: {step.statement}" if step.commits else step.statement,
            shape=f"commit of: {step.shape}" if step.commits else step.shape,
            failed=step.failed,
            decision=number,
        )
        for number, (request, step) in enumerate(performance.steps)
        if request.phase == phase
    )


async def _smaller(house: House, broken: Broken, law: str, until: float) -> Broken:
    """Leave out whatever can be left out: a fault of several, programs, operations."""
    progress = True
    while progress:
        progress = False
        for scenario, injections in _candidates(broken):
            if time.monotonic() > until:
                return broken
            theatre = await house.theatre(injections)
            performance = await theatre.perform(scenario, injections)
            if breaks(performance, injections, law):
                broken, progress = Broken(scenario, injections, performance), True
                break
    return broken


def _candidates(broken: Broken) -> Iterator[tuple[Scenario, tuple[Injection, ...]]]:
    scenario, injections = broken.scenario, broken.injections
    if len(injections) > 1:
        for place in range(len(injections)):
            yield scenario, injections[:place] + injections[place + 1 :]
    for number, phase in enumerate(scenario.phases):
        for place, program in enumerate(phase.programs):
            if any((each.phase, each.client) == (number, program.client) for each in injections):
                continue
            rest = phase.programs[:place] + phase.programs[place + 1 :]
            yield _with(scenario, injections, number, rest)
    for number, phase in enumerate(scenario.phases):
        for place, program in enumerate(phase.programs):
            for gone in range(len(program.operations)):
                mine = [each for each in injections if (each.phase, each.client) == (number, program.client)]
                if len(program.operations) < 2 or any(each.operation == gone for each in mine):
                    continue
                less = Program(program.client, program.operations[:gone] + program.operations[gone + 1 :])
                programs = (*phase.programs[:place], less, *phase.programs[place + 1 :])
                moved = tuple(
                    replace(each, operation=each.operation - 1)
                    if each in mine and each.operation > gone
                    else each
                    for each in injections
                )
                yield _with(scenario, moved, number, programs)


def _with(
    scenario: Scenario, injections: tuple[Injection, ...], number: int, programs: tuple[Program, ...]
) -> tuple[Scenario, tuple[Injection, ...]]:
    """Return the scenario with other programs in one phase; a phase without any is left out."""
    phases = list(scenario.phases)
    if programs:
        phases[number] = Phase(phases[number].title, programs)
    else:
        del phases[number]
        injections = tuple(
            replace(each, phase=each.phase - 1) if each.phase > number else each for each in injections
        )
    return replace(scenario, phases=tuple(phases)), injections
