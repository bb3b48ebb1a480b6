"""Nothing is sold of a ticket type whose sale has ended.

The scenario puts it on sale with its deadline already past. So nobody may be told that a reservation of it
was accepted, and no committed state may show one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._law import Law
from harness.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        late = list(dict.fromkeys(_late(evidence, ticket)))
        if ticket.closed and late:
            shown = view(evidence.books, ticket)
            message = f"{shown.told()}, but its sale had ended. Sold to: {people(late)}."
            yield shown.violation(LAW.name, message, tuple(late))


def _late(evidence: Evidence, ticket: TicketType) -> Iterator[str]:
    """Yield everybody who got something, as told in an answer or as seen in a state."""
    for _, reserve in evidence.reserves(Outcome.ACCEPTED):
        if reserve.ticket == ticket.name:
            yield reserve.person
    for books in (evidence.books, *evidence.states):
        yield from (entry.person for entry in books.of(ticket.name))


def _needs(evidence: Evidence) -> str | None:
    if not any(ticket.closed for ticket in evidence.scenario.tickets):
        return "the scenario has no ticket type whose sale has ended"
    return None


LAW = Law(name="nothing_after_deadline", doc=__doc__, judge=_judge, applies=_needs)
