"""No number in the books is ever below zero, and nobody holds fewer than one.

Judged on every committed state seen while the run was under way and on the final one. A negative stock
counter means that it was decremented without a guard; an entry for zero or fewer units takes nothing from
the stock, or gives some back.

Each ticket type is reported once, with its lowest number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.laws._books import below_zero, first_commit, people, view
from harness.laws._law import Law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Books, Evidence, TicketType, Violation


def _judge(evidence: Evidence) -> Iterator[Violation]:
    for ticket in evidence.scenario.tickets:
        seen = [
            (number, what, books)
            for books in (evidence.books, *evidence.states)
            for number, what in _too_low(books, ticket)
        ]
        if seen:
            number, what, books = min(seen, key=lambda found: found[0])
            shown = view(evidence, ticket, books)
            commit = first_commit((books.commit, True) for _, _, books in seen)
            yield shown.violation(LAW.name, f"{shown.told()}: {what} {number}.", commit=commit)


def _too_low(books: Books, ticket: TicketType) -> Iterator[tuple[int, str]]:
    for stock in books.stock:
        if stock.ticket == ticket.name:
            for number, name in below_zero(stock.remaining, stock.sold, stock.held):
                yield number, f"the count of {name} is"
    empty = [entry for entry in books.of(ticket.name) if entry.quantity <= 0]
    if empty:
        lowest = min(entry.quantity for entry in empty)
        yield lowest, f"{people(entry.person for entry in empty)} stands in the books with"


LAW = Law(name="never_negative", doc=__doc__, judge=_judge)
