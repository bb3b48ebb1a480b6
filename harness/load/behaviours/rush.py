"""Press the button, once, for one ticket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import Behaviour
from harness.model import Feature, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    yield Reserve(ticket=visit.ticket, person=visit.person)


BEHAVIOUR = Behaviour(
    name="rush",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE}),
    fits=frozenset({Feature.RESERVE}),
    visit=_visit,
)
