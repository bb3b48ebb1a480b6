"""Look how many remain, then buy. Whoever reads that nothing is left tries all the same half of the time.

Half of those who bought look again. So availability is read while others buy, which is when it lies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Feature, Outcome, ReadAvailability, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    look = ReadAvailability(ticket=visit.ticket, person=visit.person)
    seen = yield look
    if seen.remaining == 0 and visit.luck.random() < 0.5:
        return
    bought = yield Reserve(ticket=visit.ticket, person=visit.person)
    if bought.outcome is Outcome.ACCEPTED and visit.luck.random() < 0.5:
        yield look


BEHAVIOUR = Behaviour(
    name="browse_then_buy",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE, Feature.AVAILABILITY}),
    fits=frozenset({Feature.AVAILABILITY}),
    visit=_visit,
)
