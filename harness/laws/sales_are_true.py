"""The sales statistics say what was sold.

The number in the answer, cancelled reservations taken off, must lie between the least and the most that
can have been sold at some moment of the call, as far as the history tells: calls that overlapped, or whose
outcome is unknown, may have come before or after. What is only held is not sold. Once everything is quiet,
it must be the number that the books show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import view
from harness.laws._bounds import Bounds, quiet_from
from harness.laws._calls import happens
from harness.laws._law import Law
from harness.laws._reads import answered, present, untrue, violations
from harness.model import ReadSales

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Call, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    quiet = quiet_from(evidence)

    def wrong(ticket: TicketType, known: Bounds, reads: list[tuple[Call, int]]) -> dict[str, str]:
        now = view(evidence, ticket).sold
        return present(reads, quiet.get(ticket.name), now) | untrue(reads, known, Bounds.sold)

    reads = list(answered(evidence, ReadSales, lambda call: call.answer.sold))
    yield from violations(evidence, LAW.name, "the statistics told what was never sold", reads, wrong)


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, ReadSales):
        return "nobody asks for sales statistics in this scenario"
    if next(answered(evidence, ReadSales, lambda call: call.answer.sold), None) is None:
        return "nobody was told a number of what is sold"
    return None


LAW = Law(name="sales_are_true", doc=__doc__, judge=_judge, applies=_needs)
