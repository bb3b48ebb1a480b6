"""Have one set aside, then pay for it. One in four changes their mind and gives the hold up instead.

One in ten asks for both at the same moment, as somebody does with two tabs: either may win, never both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Confirm, Feature, Hold, Outcome, Release

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    held = yield Hold(ticket=visit.ticket, person=visit.person)
    if held.outcome is not Outcome.ACCEPTED:
        return
    confirm = Confirm(ticket=visit.ticket, person=visit.person)
    release = Release(ticket=visit.ticket, person=visit.person)
    luck = visit.luck.random()
    if luck < 0.1:
        yield confirm, release
    elif luck < 0.35:
        yield release
    else:
        yield confirm


BEHAVIOUR = Behaviour(
    name="hold_and_confirm",
    doc=__doc__ or "",
    needs=frozenset({Feature.HOLD}),
    fits=frozenset({Feature.HOLD}),
    visit=_visit,
)
