"""Enumeration: the cells of the table, in a fixed order, and pairs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.faulting.steps import in_short, moment, operation_of
from harness.model import FaultRow, Injection, Mark
from harness.model.operations import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.faulting.fault import Fault, Ground
    from harness.faulting.performing import Performance
    from harness.faulting.steps import RequestId, SeenStep
    from harness.model import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """The runs in which nothing was broken: the steps that there are."""

    plain: Performance
    keyed: Performance | None
    """With idempotency keys, where the target takes any."""

    def steps(self, fault: Fault) -> tuple[tuple[RequestId, SeenStep], ...]:
        """Return the steps at which a fault may be fired."""
        run = self.keyed if fault.keyed and self.keyed is not None else self.plain
        return tuple((request, step) for request, step in run.steps if fault.applies(step))


def cells(clean: Clean, faults: Mapping[str, Fault], ground: Ground) -> list[Injection]:
    """Return every fault at every step of the clean runs at which there is such a fault.

    Where the time may not do for all, most is seen early: first those at whose statement the same fault was
    not fired before, for somebody else. Of these, those that have the first turn at all steps; then step by
    step, and at each in the order of the columns; at last what costs much, one stage after another.
    """
    known: set[tuple[str, str, bool]] = set()
    found: list[tuple[bool, int, int, bool, int, int, Injection]] = []
    possible = [fault for fault in faults.values() if fault.impossible(ground) is None]
    for column, fault in enumerate(possible):
        for place, (request, step) in enumerate(clean.steps(fault)):
            alike = fault.name, step.shape, step.commits
            repeats = alike in known
            known.add(alike)
            injection = injection_of(request, step, fault.name)
            found.append((repeats, fault.turn, fault.place, fault.keyed, place, column, injection))
    return [injection for *_, injection in sorted(found, key=itemgetter(0, 1, 2, 3, 4, 5))]


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
    clean: Clean,
    faults: Mapping[str, Fault],
    ground: Ground,
    marks: Mapping[Injection, Mark],
) -> tuple[FaultRow, ...]:
    """Return the table's rows: the steps of the clean runs, with what every fault at them came to.

    :param marks: of the cells that had their turn; the others are unexplored.
    """
    plain = [fault for fault in faults.values() if clean.keyed is None or not fault.keyed]
    keyed = [fault for fault in faults.values() if fault not in plain]
    found = _rows(scenario, clean.plain, plain, ground, marks)
    if clean.keyed is not None:
        found += [
            replace(row, operation=f"{row.operation} with a key")
            for row in _rows(scenario, clean.keyed, keyed, ground, marks)
        ]
    return tuple(found)


def _rows(
    scenario: Scenario,
    run: Performance,
    faults: Sequence[Fault],
    ground: Ground,
    marks: Mapping[Injection, Mark],
) -> list[FaultRow]:
    def mark(request: RequestId, step: SeenStep, fault: Fault) -> Mark:
        if fault.impossible(ground) is not None:
            return Mark.NOT_JUDGED
        return marks.get(injection_of(request, step, fault.name), Mark.UNEXPLORED)

    return [
        FaultRow(
            phase=request.phase,
            client=request.client,
            operation=kind_of(operation_of(scenario, request)),
            number=request.operation,
            step=step.number,
            statement=step.statement,
            commits=step.commits,
            short=moment(in_short(step.statement), commits=step.commits),
            marks={fault.name: mark(request, step, fault) for fault in faults if fault.applies(step)},
        )
        for request, step in run.steps
    ]


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
