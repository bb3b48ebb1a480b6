"""Enumeration: the cells of the table, in a fixed order, and pairs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import FaultRow, Injection, Mark
from harness.model.operations import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.faulting.fault import Fault, Ground
    from harness.faulting.performing import Performance
    from harness.faulting.steps import RequestId, SeenStep
    from harness.model import Scenario


def cells(clean: Performance, faults: Mapping[str, Fault], ground: Ground) -> list[Injection]:
    """Return every fault at every step of the clean run at which there is such a fault.

    Faults that take their time come after all others; else the order is that of the steps and the columns.
    """
    possible = [fault for fault in faults.values() if fault.impossible(ground) is None]
    found = [
        (fault.slow, injection_of(request, step, fault.name))
        for request, step in clean.steps
        for fault in possible
        if fault.applies(step)
    ]
    return [injection for slow in (False, True) for is_slow, injection in found if is_slow is slow]


def injection_of(request: RequestId, step: SeenStep, fault: str) -> Injection:
    """Return a fault at a step as data."""
    return Injection(
        phase=request.phase,
        client=request.client,
        operation=request.operation,
        attempt=request.attempt,
        step=step.number,
        statement=step.statement,
        shape=step.shape,
        commits=step.commits,
        fault=fault,
    )


def rows(
    scenario: Scenario,
    clean: Performance,
    faults: Mapping[str, Fault],
    ground: Ground,
    marks: Mapping[Injection, Mark],
) -> tuple[FaultRow, ...]:
    """Return the table's rows: the steps of the clean run, with what every fault at them came to.

    :param marks: of the cells that had their turn; the others are unexplored.
    """

    def mark(request: RequestId, step: SeenStep, fault: Fault) -> Mark:
        if fault.impossible(ground) is not None:
            return Mark.NOT_JUDGED
        return marks.get(injection_of(request, step, fault.name), Mark.UNEXPLORED)

    return tuple(
        FaultRow(
            phase=request.phase,
            client=request.client,
            operation=kind_of(_operation(scenario, request)),
            number=request.operation,
            step=step.number,
            statement=step.statement,
            commits=step.commits,
            marks={
                fault.name: mark(request, step, fault) for fault in faults.values() if fault.applies(step)
            },
        )
        for request, step in clean.steps
    )


def reasons(faults: Iterable[Fault], ground: Ground) -> tuple[str, ...]:
    """Return why faults cannot be done to a target, each reason once."""
    said = (fault.impossible(ground) for fault in faults)
    return tuple(dict.fromkeys(reason for reason in said if reason is not None))


def followers(run: Performance, first: Injection, seconds: Sequence[Fault]) -> Iterator[Injection]:
    """Yield second faults for a run in which the first has fired: at the steps that came after it."""
    places = [
        place
        for place, (request, step) in enumerate(run.steps)
        if injection_of(request, step, first.fault) == first
    ]
    for request, step in run.steps[places[0] + 1 :] if places else ():
        for fault in seconds:
            if fault.applies(step):
                yield injection_of(request, step, fault.name)


def _operation(scenario: Scenario, request: RequestId):  # type: ignore[no-untyped-def]
    programs = {program.client: program for program in scenario.phases[request.phase].programs}
    return programs[request.client].operations[request.operation]
