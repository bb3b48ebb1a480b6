"""Buyers never deadlock.

A design in which two buyers can each hold what the other waits for loses purchases under load, though it
does not oversell: Postgres ends one of them with error 40P01, and until it does both wait. The law looks at
the incidents an engine saw in Postgres, so it is judged only where the engine watches for them.
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
    clients = of_kind(evidence, IncidentKind.DEADLOCK)
    if clients:
        yield Violation(
            law="no_deadlock",
            message=f"Postgres had to break a deadlock between buyers; it ended: {', '.join(clients)}.",
            buyers=clients,
        )


LAW = Law(name="no_deadlock", doc=__doc__ or "", judge=_judge, applies=incidents_were_watched)
