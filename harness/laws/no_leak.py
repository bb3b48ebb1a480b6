"""Nothing that was to be sold vanishes.

Once everything is quiet, what is sold, held and remaining adds up to what there was to sell. When it adds
up to less, some units can never be sold to anybody: typically a process died, or lost a connection, after
it took a ticket out of stock and before it wrote the reservation down. Where the capacity was changed,
there was to sell the smallest one possible at the end.

Judged on the final state only: on the way, an implementation may take out of stock first and write down
later. Too much instead of too little is what `no_oversell` judges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import final_views, needs_sold
from harness.laws._law import Law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for view in final_views(evidence):
        if view.sold is not None and view.remaining is not None and view.missing > 0:
            yield view.violation(LAW.name, f"{view.told()}: {view.missing} vanished.")


def _needs(evidence: Evidence) -> str | None:
    if all(view.remaining is None for view in final_views(evidence)):
        return "the target keeps no number of what remains"
    return needs_sold(evidence)


LAW = Law(name="no_leak", doc=__doc__, judge=_judge, applies=_needs)
