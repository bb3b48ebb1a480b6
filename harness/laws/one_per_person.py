"""Nobody has more than one standing reservation for one event.

Ticket types of one event share this rule, so one general and one balcony ticket for the same evening are
one too many. One reservation may be for several units.

Judged on every committed state seen while the run was under way and on the final one. Each event is
reported once, in the state that shows the most people with too many.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.laws._books import first_commit, needs_rows, people, view
from harness.laws._law import Law
from harness.model import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.model import Books, Evidence, TicketType


def _judge(evidence: Evidence) -> Iterator[Violation]:
    events: dict[str, list[TicketType]] = defaultdict(list)
    for ticket in evidence.scenario.tickets:
        events[ticket.event].append(ticket)
    for event, tickets in events.items():
        seen = [(_too_many(books, tickets), books) for books in (evidence.books, *evidence.states)]
        greedy, books = max(seen, key=lambda found: len(found[0]))
        if greedy:
            found = _violation(event, greedy, tickets, evidence, books)
            yield replace(found, commit=first_commit((books.commit, bool(who)) for who, books in seen))


def _too_many(books: Books, tickets: list[TicketType]) -> Mapping[str, list[str]]:
    """Return the ticket types that each person with more than one reservation holds."""
    held: dict[str, list[str]] = defaultdict(list)
    for ticket in tickets:
        for entry in books.of(ticket.name):
            held[entry.person].append(ticket.name)
    return {person: names for person, names in held.items() if len(names) > 1}


def _violation(
    event: str, greedy: Mapping[str, list[str]], tickets: list[TicketType], evidence: Evidence, books: Books
) -> Violation:
    involved = {name for names in greedy.values() for name in names}
    who = people(f"{person} ({len(names)}: {' + '.join(names)})" for person, names in greedy.items())
    when = "" if books is evidence.books else " at one moment"
    message = f"more than one reservation for one person{when}: {who}."
    if len(involved) > 1:
        return Violation(law=LAW.name, message=f"{event}: {message}", buyers=tuple(greedy))
    shown = view(evidence, next(ticket for ticket in tickets if ticket.name in involved), books)
    return shown.violation(LAW.name, f"{shown.told()}, but {message}", tuple(greedy))


LAW = Law(name="one_per_person", doc=__doc__, judge=_judge, applies=needs_rows)
