"""Nobody waits in line while something remains.

What comes back, by a cancel, a refund, a release, an expiry or a greater capacity, belongs to those who
wait. Once everything is quiet, somebody who still waits for a ticket type of which units remain was
forgotten: nobody will come and serve them.

What remains is the target's own number, or else what its rows leave of the smallest capacity that is
possible. People who have a reservation or a hold for the same event are left out, since they may not be
given another, and so are ticket types whose sale has ended. Judged on the final state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import people, view
from harness.laws._calls import happens
from harness.laws._law import Law
from harness.model import JoinWaitlist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.laws._books import View
    from harness.model import Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        waiting = _waiting(evidence, ticket)
        if waiting and not ticket.closed:
            shown = view(evidence, ticket)
            left = _left(shown)
            if left > 0:
                message = f"{shown.told()}, but still waiting while {left} could be had: {people(waiting)}."
                yield shown.violation(LAW.name, message, tuple(waiting))


def _waiting(evidence: Evidence, ticket: TicketType) -> list[str]:
    """Return who waits for it and has nothing else at that event."""
    events = {each.name: each.event for each in evidence.scenario.tickets}
    books = evidence.books
    served = {
        row.person
        for row in (*(books.entries or ()), *(books.holds or ()))
        if events.get(row.ticket) == ticket.event
    }
    places = (place for place in books.waiting or () if place.ticket == ticket.name)
    return list(dict.fromkeys(place.person for place in places if place.person not in served))


def _left(shown: View) -> int:
    if shown.remaining is not None:
        return shown.remaining
    return 0 if shown.sold is None else shown.capacities[0] - shown.sold - shown.held


def _needs(evidence: Evidence) -> str | None:
    if not happens(evidence, JoinWaitlist):
        return "nobody waits in line in this scenario"
    return "the target does not show who waits in line" if evidence.books.waiting is None else None


LAW = Law(name="waitlist_is_served", doc=__doc__, judge=_judge, applies=_needs)
