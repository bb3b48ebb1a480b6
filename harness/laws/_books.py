"""What laws about the books share: one ticket type in one state, and how people read about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model import Stock, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.model import Books, Evidence, TicketType


@dataclass(frozen=True, slots=True)
class View:
    """One ticket type in one committed state, with the numbers a law needs."""

    ticket: str
    initial: int
    """What the scenario put on sale: the target's own word for it is not trusted."""
    sold: int | None
    """Counted in the rows where they can be read, else as the target counts."""
    remaining: int | None
    held: int
    buyers: tuple[str, ...]
    final: bool
    """This is the state at the end, once everything was quiet."""

    @property
    def excess(self) -> int:
        """How many units there are beyond the initial quantity; below zero when some are missing."""
        return (self.sold or 0) + self.held + (self.remaining or 0) - self.initial

    @property
    def oversold(self) -> int:
        """How many units too many are sold, held or for sale.

        A counter below zero is a debt, not stock: it does not make up for what was sold.
        """
        return self.excess - min(0, self.remaining or 0)

    def violation(self, law: str, message: str, buyers: tuple[str, ...] | None = None) -> Violation:
        """Return a violation about this ticket type with the numbers filled in."""
        return Violation(
            law=law,
            message=f"{self.ticket}: {message}",
            ticket=self.ticket,
            initial=self.initial,
            remaining=self.remaining,
            sold=self.sold,
            held=self.held,
            buyers=self.buyers if buyers is None else buyers,
        )

    def told(self) -> str:
        """Return the numbers in words: ``started with 10, sold 14 and 0 remain``."""
        parts = [f"sold {'an unknown number' if self.sold is None else self.sold}"]
        if self.held:
            parts.append(f"{self.held} are held")
        if self.remaining is not None:
            parts.append(f"{self.remaining} {'remain' if self.final else 'remained'}")
        moment = "" if self.final else "at one moment "
        return f"started with {self.initial}, {moment}{' and '.join(parts)}"


def views(evidence: Evidence, ticket: TicketType) -> Iterator[View]:
    """Yield one ticket type as it was in every state, the final one first."""
    yield view(evidence.books, ticket, final=True)
    for books in evidence.states:
        yield view(books, ticket, final=False)


def view(books: Books, ticket: TicketType, *, final: bool = True) -> View:
    """Return one ticket type as these books show it."""
    stock = next((stock for stock in books.stock if stock.ticket == ticket.name), None)
    stock = stock or Stock(ticket=ticket.name, initial=ticket.initial)
    return View(
        ticket=ticket.name,
        initial=ticket.initial,
        sold=books.sold(stock),
        remaining=stock.remaining,
        held=stock.held,
        buyers=tuple(entry.person for entry in books.of(ticket.name)),
        final=final,
    )


def final_views(evidence: Evidence) -> Iterator[View]:
    """Yield every ticket type as it was at the end."""
    return (view(evidence.books, ticket) for ticket in evidence.scenario.tickets)


def people(names: Iterable[str], *, most: int = 5) -> str:
    """Return names in one readable line: each once, the first few, and how many more."""
    told = [name if times == 1 else f"{name} ({times} times)" for name, times in Counter(iter(names)).items()]
    if len(told) <= most + 1:
        return ", ".join(told) or "nobody"
    return f"{', '.join(told[:most])} and {len(told) - most} more"


def needs_sold(evidence: Evidence) -> str | None:
    """Need to know how many units were sold."""
    if any(view.sold is None for view in final_views(evidence)):
        return "the target shows neither its rows nor its own count of what it sold"
    return None


def needs_rows(evidence: Evidence) -> str | None:
    """Need to read the rows."""
    return "the target's rows cannot be read" if evidence.books.entries is None else None
