"""Buy, and send a friend, who waits in line where it is sold out by then. Then give back what was bought.

One in three has no friends. Half of the others wait and give back at the same moment. What comes back belongs
to whoever waits longest, so the line moves at the very moment at which the last unit is sold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Cancel, Feature, JoinWaitlist, Outcome, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    friend = f"{visit.person}.2"
    bought = yield Reserve(ticket=visit.ticket, person=visit.person)
    if bought.outcome is not Outcome.ACCEPTED or visit.luck.random() < 1 / 3:
        return
    also = yield Reserve(ticket=visit.ticket, person=friend)
    if also.outcome is not Outcome.SOLD_OUT:
        return
    wait = JoinWaitlist(ticket=visit.ticket, person=friend)
    give_back = Cancel(ticket=visit.ticket, person=visit.person)
    if visit.luck.random() < 0.5:
        yield wait, give_back
    else:
        yield wait
        yield give_back


BEHAVIOUR = Behaviour(
    name="friend_in_line",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE, Feature.CANCEL, Feature.WAITLIST}),
    fits=frozenset({Feature.CANCEL, Feature.WAITLIST}),
    visit=_visit,
)
