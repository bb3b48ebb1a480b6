"""Nothing is sold of a ticket type whose sale has ended.

The scenario puts it on sale with its deadline already past. So nobody may be told that a reservation of it
was accepted, nor a hold or a group, and no committed state may show one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import first_commit, people, view
from harness.laws._law import Law
from harness.model import Confirm, Hold, Outcome, Reserve, ReserveGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        late = list(dict.fromkeys(_late(evidence, ticket))) if ticket.closed else []
        if late:
            shown = view(evidence, ticket)
            message = f"{shown.told()}, but its sale had ended. Sold to: {people(late)}."
            commit = first_commit((books.commit, bool(books.of(ticket.name))) for books in evidence.states)
            yield shown.violation(LAW.name, message, tuple(late), commit=commit)


def _late(evidence: Evidence, ticket: TicketType) -> Iterator[str]:
    """Yield everybody who got something, as told in an answer or as seen in a state."""
    for call in evidence.history:
        operation = call.operation
        if operation.ticket == ticket.name and call.outcome is Outcome.ACCEPTED:
            if isinstance(operation, ReserveGroup):
                yield from operation.members
            elif isinstance(operation, Reserve | Hold | Confirm):
                yield operation.person
    for books in (evidence.books, *evidence.states):
        yield from (entry.person for entry in books.of(ticket.name))


def _needs(evidence: Evidence) -> str | None:
    if not any(ticket.closed for ticket in evidence.scenario.tickets):
        return "the sale of no ticket type has ended in this scenario"
    return None


LAW = Law(name="nothing_after_deadline", doc=__doc__, judge=_judge, applies=_needs)
