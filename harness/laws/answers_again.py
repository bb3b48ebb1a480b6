"""A target gets over a fault: it answers again, and leaves nothing open.

Once a connection has broken, a backend has been ended or a buyer has gone, and there has been time to get
over it, others are served as before. The law is broken when nobody who asks gets an answer any more, when a
buyer of whom nothing was broken was left to wait for ever, and when sessions are left in an open transaction
or in a wait: they keep locks and connections that nobody will give back.

That a single request fails before a pool has noticed its dead connection is no violation. Judged only where
faults were fired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import people
from harness.laws._law import Law
from harness.model import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence

_NAME = "answers_again"


def _judge(evidence: Evidence) -> Iterator[Violation]:
    seen = evidence.afterwards
    if seen is None:
        return
    if seen.unanswered:
        message = (
            f"Others were never answered although nothing of theirs was broken: {people(seen.unanswered)}."
        )
        yield Violation(law=_NAME, message=message, buyers=seen.unanswered)
    elif seen.probes and all(call.completed is None for call in seen.probes):
        detail = seen.probes[-1].answer.detail
        message = f"The target did not answer any more, asked {len(seen.probes)} times ({detail})."
        yield Violation(law=_NAME, message=message)
    if seen.left_open:
        yield Violation(law=_NAME, message=f"Sessions were left open: {people(seen.left_open)}.")


def _needs(evidence: Evidence) -> str | None:
    return "nothing was broken" if evidence.afterwards is None else None


LAW = Law(name=_NAME, doc=__doc__ or "", judge=_judge, applies=_needs)
