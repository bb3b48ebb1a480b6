"""Press the button twice at the same moment, on two connections: one person may get one ticket, never two.

It fits no scenario by itself, since it asks for something that a rush does not: that a person who is there
already is refused. Name it to have it: ``--behaviour impatient``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.load.behaviour import ONLY_BY_NAME, Behaviour
from harness.model import Feature, Reserve

if TYPE_CHECKING:
    from harness.load.behaviour import Steps, Visit


def _visit(visit: Visit) -> Steps:
    press = Reserve(ticket=visit.ticket, person=visit.person)
    yield press, press


BEHAVIOUR = Behaviour(
    name="impatient",
    doc=__doc__ or "",
    needs=frozenset({Feature.RESERVE}),
    fits=ONLY_BY_NAME,
    visit=_visit,
)
