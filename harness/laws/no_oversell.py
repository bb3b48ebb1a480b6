"""What is sold, held and remaining never exceeds what there was to sell.

Judged on every committed state seen while the run was under way and on the final one. What is sold is
counted in the target's rows where they can be read, else as the target counts it, else in the answers:
the accepted purchases that nothing can have undone, one for each person. Where the target keeps no number
of what remains, sold and held alone must fit; a counter below zero counts as nothing remaining.

Where the capacity was changed, what there was to sell is the largest capacity possible: at the end, one that
no later change has certainly replaced; on the way, any that it was ever given.

Each ticket type is reported once, in the state that shows the most units too many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.laws._books import first_commit, people, view, views
from harness.laws._calls import accounts
from harness.laws._law import Law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.laws._books import View
    from harness.model import Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        seen = [view for view in views(evidence, ticket) if view.sold is not None]
        worst = max(seen or [_as_answered(evidence, ticket)], key=lambda view: view.oversold)
        if worst.oversold > 0:
            buyers = f" Buyers: {people(worst.buyers)}." if worst.buyers else ""
            commit = first_commit((view.commit, view.oversold > 0) for view in seen)
            message = f"{worst.told()}: {worst.oversold} too many.{buyers}"
            yield worst.violation(LAW.name, message, commit=commit)


def _as_answered(evidence: Evidence, ticket: TicketType) -> View:
    """Return the final state with what is sold counted in the answers."""
    standing = {
        person: account.fewest
        for (name, person), account in accounts(evidence).items()
        if name == ticket.name and account.surely_stand()
    }
    final = view(evidence, ticket)
    return replace(final, sold=sum(standing.values()), buyers=tuple(standing))


LAW = Law(name="no_oversell", doc=__doc__, judge=_judge)
