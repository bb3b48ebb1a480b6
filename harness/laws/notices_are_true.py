"""The last notice says what remains.

Whoever listens is told of every change, without asking. Once what was sent has arrived, the last notice
may be as old as the newest change that had completed before it was looked at, and no older: its number
must have been possible at some moment between that change and the end of the look. Calls that overlapped,
or whose outcome is unknown, may have come before or after. Once everything is quiet, it must be the number
that the books show.

Ticket types whose sale has ended are left out, and so are looks before any notice had come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import view
from harness.laws._bounds import Bounds, quiet_from
from harness.laws._calls import happens
from harness.laws._law import Law
from harness.laws._reads import answered, present, untrue, violations
from harness.model import ReadNotice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Call, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    quiet = quiet_from(evidence)

    def wrong(ticket: TicketType, known: Bounds, reads: list[tuple[Call, int]]) -> dict[str, str]:
        if ticket.closed:
            return {}
        now = view(evidence, ticket).remaining
        return present(reads, quiet.get(ticket.name), now) | untrue(reads, known, Bounds.remaining)

    reads = list(answered(evidence, ReadNotice, lambda call: call.answer.remaining))
    yield from violations(evidence, LAW.name, "the last notice was not true", reads, wrong)


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, ReadNotice):
        return "nobody listens for notices in this scenario"
    if next(answered(evidence, ReadNotice, lambda call: call.answer.remaining), None) is None:
        return "no notice had come whenever somebody looked"
    return None


LAW = Law(name="notices_are_true", doc=__doc__, judge=_judge, applies=_needs)
