"""Buy for two to four friends at once, all or nothing.

Where there are too few for all of them, half of the groups let the one who asked go alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Feature, Outcome, Reserve, ReserveGroup

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    friends = [f"{visit.person}.{number}" for number in range(2, visit.luck.randint(2, 4) + 1)]
    together = yield ReserveGroup(ticket=visit.ticket, person=visit.person, members=(visit.person, *friends))
    if together.outcome is Outcome.SOLD_OUT and visit.luck.random() < 0.5:
        yield Reserve(ticket=visit.ticket, person=visit.person)


BEHAVIOUR = Behaviour(
    name="group",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE, Feature.GROUP}),
    fits=frozenset({Feature.GROUP}),
    visit=_visit,
)
