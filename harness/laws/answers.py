"""Every request is answered in the end.

A request that waits for ever, for a lock that nobody will let go of or for another request that waits for
it, takes its buyer and its pooled connection out of the sale. The law is broken when an engine that decides
who may go found that nobody could go on although somebody was not done; and, in a burst, when the time for
an answer was up while sessions waited for a lock of one that had done nothing for most of that time. A
request that is merely slow, its lock held by somebody at work, is not accused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._incidents import incidents_were_watched, of_kind
from harness.laws._law import Law
from harness.model import IncidentKind, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence


def _judge(evidence: Evidence) -> Iterator[Violation]:
    clients = of_kind(evidence, IncidentKind.STUCK)
    if clients:
        names = ", ".join(clients)
        message = f"No answer came, and nobody was going to let go of what is waited for: {names}."
        yield Violation(law="answers", message=message, buyers=clients)


LAW = Law(name="answers", doc=__doc__ or "", judge=_judge, applies=incidents_were_watched)
