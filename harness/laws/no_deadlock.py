"""Buyers never deadlock.

A design in which two buyers can each hold what the other waits for loses purchases under load, though it
does not oversell: Postgres ends one of them with error 40P01, and until it does both wait. The law looks at
the incidents an engine saw in Postgres, so it is judged only where the engine watches for them. An engine
that asks Postgres how many there were, rather than see the statements, cannot say whom they hit.

A design that tries again after a deadlock is not excused: its buyers wait for a second each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._incidents import how_many, incidents_were_watched, of_kind
from harness.laws._law import Law
from harness.model import IncidentKind, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence


def _judge(evidence: Evidence) -> Iterator[Violation]:
    times = how_many(evidence, IncidentKind.DEADLOCK)
    if times:
        clients = of_kind(evidence, IncidentKind.DEADLOCK)
        yield Violation(law="no_deadlock", message=_message(times, clients), buyers=clients)


def _message(times: int, clients: tuple[str, ...]) -> str:
    if clients:
        return f"Postgres had to break a deadlock between buyers; it ended: {', '.join(clients)}."
    what = "a deadlock" if times == 1 else f"{times} deadlocks"
    return f"Postgres had to break {what} between buyers; it counts them, and does not say whom it ended."


LAW = Law(name="no_deadlock", doc=__doc__ or "", judge=_judge, applies=incidents_were_watched)
