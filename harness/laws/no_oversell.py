"""What is sold, held and remaining never exceeds what there was to sell.

Judged on every committed state seen while the run was under way and on the final one. What is sold is
counted in the target's rows where they can be read, else as the target counts it. Where the target keeps
no number of what remains, sold and held alone must fit.

Each ticket type is reported once, in the state that shows the most units too many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import needs_sold, people, views
from harness.laws._law import Law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        worst = max(views(evidence, ticket), key=lambda view: view.excess)
        if worst.excess > 0:
            buyers = f" Buyers: {people(worst.buyers)}." if worst.buyers else ""
            yield worst.violation(LAW.name, f"{worst.told()}: {worst.excess} too many.{buyers}")


LAW = Law(name="no_oversell", doc=__doc__, judge=_judge, applies=needs_sold)
