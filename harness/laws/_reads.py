"""What laws about numbers that were read share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._bounds import bounds
from harness.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.laws._bounds import Bounds
    from harness.model import Call, Evidence, Operation, TicketType, Violation

    Told = Callable[[Call], int | None]
    Possible = Callable[[Bounds, Call], tuple[int, int]]


def answered(evidence: Evidence, kind: type[Operation], told: Told) -> Iterator[tuple[Call, int]]:
    """Yield every accepted read of a kind with the number that was told."""
    for call in evidence.history:
        if isinstance(call.operation, kind) and call.outcome is Outcome.ACCEPTED:
            number = told(call)
            if number is not None:
                yield call, number


def untrue(reads: list[tuple[Call, int]], known: Bounds, possible: Possible) -> dict[str, str]:
    """Return in words, by person, which numbers were true at no moment of their call."""
    lies: dict[str, str] = {}
    for call, number in reads:
        fewest, most = possible(known, call)
        if not fewest <= number <= most:
            what = f"at least {fewest}" if number < fewest else f"at most {most}"
            lies[call.operation.person] = f"{call.operation.person} (told {number}, {what} possible)"
    return lies


def present(reads: list[tuple[Call, int]], quiet: int | None, now: int | None) -> dict[str, str]:
    """Return in words, by person, which numbers were not the present one although nothing changed any more.

    :param quiet: from when on nothing can have changed; ``None`` when nothing ever did.
    :param now: what the books show at the end, if they do.
    """
    if now is None or quiet is None:
        return {}
    return {
        call.operation.person: f"{call.operation.person} (told {number} at the end, {now} so)"
        for call, number in reads
        if call.invoked >= quiet and number != now
    }


def violations(
    evidence: Evidence,
    law: str,
    what: str,
    reads: list[tuple[Call, int]],
    judge: Callable[[TicketType, Bounds, list[tuple[Call, int]]], dict[str, str]],
) -> Iterator[Violation]:
    """Yield a violation for each ticket type of which untrue numbers were told.

    :param what: what was told, as the message says it.
    :param judge: returns what is wrong with the reads of one ticket type, in words, by person.
    """
    known = bounds(evidence)
    for ticket in evidence.scenario.tickets:
        mine = [(call, number) for call, number in reads if call.operation.ticket == ticket.name]
        lies = judge(ticket, known[ticket.name], mine) if mine else {}
        if lies:
            shown = view(evidence, ticket)
            message = f"{shown.told()}, but {what}: {people(lies.values())}."
            yield shown.violation(law, message, tuple(lies))
