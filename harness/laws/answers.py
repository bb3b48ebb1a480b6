"""Every request is answered in the end.

A request that waits for ever, for a lock that nobody will let go of or for another request that waits for
it, takes its buyer and its pooled connection out of the sale. The law is broken when an engine that decides
who may go found that nobody could go on although somebody was not done.
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
        yield Violation(
            law="answers",
            message=f"Nobody can go on any more, and no answer came for: {', '.join(clients)}.",
            buyers=clients,
        )


LAW = Law(name="answers", doc=__doc__ or "", judge=_judge, applies=incidents_were_watched)
