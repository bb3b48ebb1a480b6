"""Buy, and wait in line when it is sold out. One in three of those who wait gives up and leaves the line.

Nothing comes back by this alone: the line moves when others cancel, as in ``friend_in_line``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Feature, JoinWaitlist, LeaveWaitlist, Outcome, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    bought = yield Reserve(ticket=visit.ticket, person=visit.person)
    if bought.outcome is not Outcome.SOLD_OUT:
        return
    waits = yield JoinWaitlist(ticket=visit.ticket, person=visit.person)
    if waits.outcome is Outcome.ACCEPTED and visit.luck.random() < 1 / 3:
        yield LeaveWaitlist(ticket=visit.ticket, person=visit.person)


BEHAVIOUR = Behaviour(
    name="waiting_list",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE, Feature.WAITLIST}),
    fits=frozenset({Feature.WAITLIST}),
    visit=_visit,
)
