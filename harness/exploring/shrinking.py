"""Shrinking: from a schedule that breaks a law to the smallest scenario and schedule that break the same.

Buyers are left out first, then operations, one at a time, as long as some schedule of what is left still
breaks the law (delta debugging, one minimal change at a time: Zeller and Hildebrandt, IEEE TSE 2002). The
search tries schedules with few context switches first, so that what it finds in the smaller scenario is
short; at last the steps are put into the order that leaves clients the least often, among the orders that
mean the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.exploring.conductor import DivergedError
from harness.exploring.exploration import Budget, Exploration
from harness.exploring.orders import fewest_switches
from harness.exploring.replaying import Recording, answers_of, broken_again, perform_again, steps_of
from harness.laws import judge
from harness.model import Failure, Phase, Program, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.exploring.conflicts import Conflicts
    from harness.exploring.events import Trace
    from harness.exploring.stage import Performance, Stage
    from harness.model import Evidence, Violation

REPLAYS = 10
"""How often a failure is run again before it is reported."""
_REPLAYING = 30.0
"""Seconds after which it is not run once more."""
_TRIES = 150
"""Schedules one smaller scenario may take."""


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule that breaks a law."""

    scenario: Scenario
    phase: int
    performance: Performance


async def make_failure(
    made: Stage,
    found: Found,
    conflicts: Conflicts,
    *,
    law: str,
    target: str,
    isolation: str | None,
    until: float,
) -> Failure:
    """Shrink what was found, run it again ten times, and return it as a failure to keep.

    :param law: the law that it must go on breaking.
    :param until: the moment of the monotonic clock, in seconds, from which it is taken as it is.
    """
    return await confirmed(
        made,
        await smaller_failure(
            made, found, conflicts, law=law, target=target, isolation=isolation, until=until
        ),
    )


async def smaller_failure(
    made: Stage,
    found: Found,
    conflicts: Conflicts,
    *,
    law: str,
    target: str,
    isolation: str | None,
    until: float,
) -> Failure:
    """Shrink what was found, and return it as a failure that is yet to be run again."""
    found = await _smaller(made, found, conflicts, law, until)
    found = await _fewer_switches(made, found, conflicts, law)
    return failure_of(
        found.performance.evidence,
        found.performance.trace,
        phase=found.phase,
        law=law,
        target=target,
        isolation=isolation,
    )


async def confirmed(made: Stage, failure: Failure) -> Failure:
    """Run a failure again ten times, and return it with how often it broke the law.

    Where one takes seconds, since a target waits for something that never comes, it is done less often.
    """
    again = replayed = 0
    until = time.monotonic() + _REPLAYING
    while replayed < REPLAYS and (replayed == 0 or time.monotonic() < until):
        replayed += 1
        with contextlib.suppress(DivergedError):
            again += bool(broken_again((await perform_again(made, failure)).evidence, failure))
    return replace(failure, replayed=replayed, reproduced=again)


def failure_of(
    evidence: Evidence,
    trace: Trace,
    *,
    phase: int,
    law: str,
    target: str,
    isolation: str | None,
    earlier: tuple[tuple[str, ...], ...] = (),
) -> Failure:
    """Return a run that broke a law as a failure to keep, not yet run again.

    :param trace: of the phase that ran under the schedule.
    :param earlier: who was let go in each phase before it that ran under a schedule too.
    """
    first, laws = violation_of(evidence, law)
    how = phase, *earlier, trace.chosen
    return Failure(
        id=id_of(target, evidence.scenario, how, isolation=isolation, law=law),
        target=target,
        scenario=evidence.scenario,
        phase=phase,
        isolation=isolation,
        choices=trace.chosen,
        steps=steps_of(trace),
        laws=laws,
        message=first.message,
        replayed=0,
        reproduced=0,
        preemptions=trace.preemptions,
        earlier=earlier,
        answers=answers_of(evidence, phase),
    )


def violation_of(evidence: Evidence, law: str) -> tuple[Violation, tuple[str, ...]]:
    """Return how a run breaks a law, and the names of all laws that it breaks, this one first."""
    # Asked for by name: the scenario may leave this law out, and the person have named it.
    first = judge(evidence, [law]).violations[0]
    others = dict.fromkeys(each.law for each in judge(evidence).violations if each.law != law)
    return first, (law, *others)


def id_of(target: str, scenario: Scenario, how: Sequence[object], *, isolation: str | None, law: str) -> str:
    """Return the id of a failure, by which it is known again wherever it is found.

    :param how: what was done in the scenario so that the law broke.
    """
    # A set of names is written in another order by every process, and the id is the same in all.
    same = replace(scenario, reaches=frozenset())
    identity = repr((target, same, *how, isolation, law))
    return hashlib.sha256(identity.encode()).hexdigest()[:10]


async def _smaller(made: Stage, found: Found, conflicts: Conflicts, law: str, until: float) -> Found:
    """Leave out whatever can be left out."""
    progress = True
    while progress:
        progress = False
        for scenario, phase in _candidates(found.scenario, found.phase):
            smaller = await _breaks(made, scenario, phase, conflicts, law, until)
            if smaller is not None:
                found, progress = smaller, True
                break
    return found


async def _breaks(
    made: Stage, scenario: Scenario, phase: int, conflicts: Conflicts, law: str, until: float
) -> Found | None:
    """Return a schedule of that scenario that breaks the law, if one is found quickly."""
    exploration = Exploration(made, scenario, phase, conflicts)
    async for performance in exploration.performances(Budget(schedules=_TRIES, until=until)):
        if judge(performance.evidence, [law]).violations:
            return Found(scenario, phase, performance)
        if performance.stuck:
            return None
    return None


def _candidates(scenario: Scenario, racing: int) -> Iterator[tuple[Scenario, int]]:
    """Yield scenarios with one program less, then with one operation less."""
    for number, phase in enumerate(scenario.phases):
        for place in range(len(phase.programs)):
            rest = phase.programs[:place] + phase.programs[place + 1 :]
            yield from _with(scenario, racing, number, rest)
    for number, phase in enumerate(scenario.phases):
        for place, program in enumerate(phase.programs):
            if len(program.operations) < 2:
                continue
            for gone in range(len(program.operations)):
                less = Program(program.client, program.operations[:gone] + program.operations[gone + 1 :])
                programs = (*phase.programs[:place], less, *phase.programs[place + 1 :])
                yield from _with(scenario, racing, number, programs)


def _with(
    scenario: Scenario, racing: int, number: int, programs: tuple[Program, ...]
) -> Iterator[tuple[Scenario, int]]:
    """Yield the scenario with other programs in one phase; a phase without any is left out."""
    phases = list(scenario.phases)
    if programs:
        phases[number] = Phase(phases[number].title, programs)
    elif number == racing:
        return
    else:
        del phases[number]
        racing -= number < racing
    yield replace(scenario, phases=tuple(phases)), racing


async def _fewer_switches(made: Stage, found: Found, conflicts: Conflicts, law: str) -> Found:
    """Reorder steps that may be swapped, so that clients are left less often; keep it if it still fails."""
    trace = found.performance.trace
    choices = fewest_switches(trace.events, conflicts)
    if choices is None or choices == trace.chosen:
        return found
    try:
        performance = await made.perform(found.scenario, found.phase, Recording(choices))
    except DivergedError:
        return found
    better = performance.trace.complete and performance.trace.preemptions < trace.preemptions
    if better and judge(performance.evidence, [law]).violations:
        return replace(found, performance=performance)
    return found
