"""Replaying: a recorded failure with its faults in it run again, and what it says.

The very faults are fired first. When a step does not come again, as it may not after the code was changed,
the failure says nothing about it; then the same kind of fault is fired at every step that there is now. The
scenario is small by then, so that a fix can be told from a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.driving.guard import install, started
from harness.exploring.replaying import Replayed, ReplayOutcome, first_difference
from harness.faulting.enumeration import Clean, cells
from harness.faulting.judging import Patient
from harness.faulting.shrinking import breaks, steps_of
from harness.faulting.telling import told
from harness.faulting.theatre import House, ground_of
from harness.postgres import provision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.faulting.performing import Performance
    from harness.model import Failure, Injection, Target

_TIMEOUT = 10.0


async def replay_faults(
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
    """Bring up a database and run a failure with faults again on it, so many times.

    :raises UsageError: when no database can be had as asked.
    :raises InconclusiveError: when the target fails in a way that is not about the faults.
    """
    async with provision(database, image=image, disposable=disposable, notice=notice) as server:
        template = await server.create_template(lambda url: install(target, url))
        async with (
            server.clone(template, "replay") as clone,
            House(
                clone,
                lambda url: started(target, url, folder),
                ground_of(target),
                failure.isolation,
                _TIMEOUT,
                tls,
                lambda url: install(target, url),
            ) as house,
        ):
            return [await replay(house, failure) for _ in range(times)]


async def replay(house: House, failure: Failure) -> Replayed:
    """Run a failure with faults again."""
    theatre = await house.theatre()
    strange = [each.fault for each in failure.faults if theatre.faults[each.fault].impossible(theatre.ground)]
    if strange:
        message = f"this cannot be done to the target: {', '.join(strange)}"
        return Replayed(outcome=ReplayOutcome.DIVERGED, steps=failure.steps, message=message)
    performance = await _settled(house, failure, failure.faults)
    steps = steps_of(performance, failure.phase)
    broken = breaks(performance, failure.faults, failure.laws[0])
    difference = first_difference(failure.steps, steps)
    if broken:
        return Replayed(
            outcome=ReplayOutcome.STILL_FAILS,
            steps=steps,
            message=f"{told(failure.faults, failure.scenario, theatre.faults)}: {broken[0].message}",
            difference=difference,
            evidence=performance.evidence,
        )
    if len(performance.fired) == len(failure.faults) and not performance.unjudged:
        message = "the same faults at the same steps no longer break the law"
        return Replayed(
            outcome=ReplayOutcome.FIXED,
            steps=steps,
            message=message,
            difference=difference,
            evidence=performance.evidence,
        )
    return await _everywhere(house, failure, difference or "the step at which it broke did not come")


async def _everywhere(house: House, failure: Failure, difference: str) -> Replayed:
    """Fire the failure's first fault at every step that there is now."""
    theatre = await house.theatre()
    name = failure.faults[0].fault
    plain = await theatre.perform(failure.scenario, keyed=theatre.faults[name].keyed)
    steps = steps_of(plain, failure.phase)
    judged = 0
    todo = cells(Clean(plain=plain, keyed=None), {name: theatre.faults[name]}, theatre.ground)
    for injection in todo:
        performance = await _settled(house, failure, (injection,))
        broken = breaks(performance, (injection,), failure.laws[0])
        judged += bool(performance.fired) and not performance.unjudged
        if broken:
            clause = told((injection,), failure.scenario, theatre.faults)
            return Replayed(
                outcome=ReplayOutcome.STILL_FAILS,
                steps=steps_of(performance, failure.phase),
                message=f"at another step: {clause}: {broken[0].message}",
                difference=difference,
                evidence=performance.evidence,
            )
    if todo and judged == len(todo) and len(failure.faults) == 1:
        message = f"the target does other steps now, and {name} at none of the {judged} breaks the law"
        return Replayed(outcome=ReplayOutcome.FIXED, steps=steps, message=message, difference=difference)
    return Replayed(
        outcome=ReplayOutcome.DIVERGED,
        steps=steps,
        message="the target does other steps now, and not everything could be broken at them",
        difference=difference,
    )


async def _settled(house: House, failure: Failure, injections: tuple[Injection, ...]) -> Performance:
    """Run the scenario with these faults, and give the target time to make good what they broke."""
    theatre = await house.theatre(injections)
    performance = await theatre.perform(failure.scenario, injections)
    return await Patient().settled(theatre, performance, failure.laws[:1])
