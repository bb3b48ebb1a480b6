"""Buy, and give back what was bought, half of the time. Some of those who gave it back buy again.

So stock comes back while others are told that it is sold out. One in five of those who give it back presses
the button twice at the same moment: one unit may come back, never two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Cancel, Feature, Outcome, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    buy = Reserve(ticket=visit.ticket, person=visit.person)
    bought = yield buy
    if bought.outcome is not Outcome.ACCEPTED or visit.luck.random() < 0.5:
        return
    cancel = Cancel(ticket=visit.ticket, person=visit.person)
    if visit.luck.random() < 0.2:
        yield cancel, cancel
        return
    returned = yield cancel
    if returned.outcome is Outcome.ACCEPTED and visit.luck.random() < 0.25:
        yield buy


BEHAVIOUR = Behaviour(
    name="buy_and_cancel",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE, Feature.CANCEL}),
    fits=frozenset({Feature.CANCEL}),
    visit=_visit,
)
