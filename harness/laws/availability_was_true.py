"""What buyers are told remains was so at some moment while they asked.

A page that shows seats that are gone sends people through a purchase that cannot end well; one that hides
seats that are there sells fewer. The number in the answer must lie between the least and the most that can
have remained at some moment of the call, as far as the history tells: every purchase and hold that
overlapped may have come before or after, and so may all whose outcome is unknown.

The number that a reserve is answered with is not judged, nor ticket types whose sale has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._bounds import Bounds
from harness.laws._calls import happens
from harness.laws._law import Law
from harness.laws._reads import answered, untrue, violations
from harness.model import ReadAvailability

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Call, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    reads = list(answered(evidence, ReadAvailability, lambda call: call.answer.remaining))
    yield from violations(evidence, LAW.name, "told what never remained", reads, _untrue)


def _untrue(ticket: TicketType, known: Bounds, reads: list[tuple[Call, int]]) -> dict[str, str]:
    return {} if ticket.closed else untrue(reads, known, Bounds.remaining)


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, ReadAvailability):
        return "nobody asks what remains in this scenario"
    if next(answered(evidence, ReadAvailability, lambda call: call.answer.remaining), None) is None:
        return "nobody was told a number of what remains"
    return None


LAW = Law(name="availability_was_true", doc=__doc__, judge=_judge, applies=_needs)
