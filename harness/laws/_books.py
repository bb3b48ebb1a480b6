"""What laws about the books share: one ticket type in one state, and how people read about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.laws._capacity import capacities
from harness.model import Stock, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.laws._capacity import Capacity
    from harness.model import Books, Commit, Entry, Evidence, TicketType


@dataclass(frozen=True, slots=True)
class View:
    """One ticket type in one committed state, with the numbers a law needs."""

    ticket: str
    initial: int
    """What the scenario put on sale: the target's own word for it is not trusted."""
    capacities: tuple[int, ...]
    """How much there can have been to sell in this state, in ascending order."""
    sold: int | None
    """Counted in the rows where they can be read, else as the target counts."""
    remaining: int | None
    held: int
    buyers: tuple[str, ...]
    final: bool
    """This is the state at the end, once everything was quiet."""
    commit: Commit | None = None
    """Which commit made this state, where that is known."""

    @property
    def total(self) -> int:
        """How many units there are: sold, held and remaining."""
        return (self.sold or 0) + self.held + (self.remaining or 0)

    @property
    def missing(self) -> int:
        """How many units vanished, whatever the capacity is; below zero when there may be too many."""
        return self.capacities[0] - self.total

    @property
    def oversold(self) -> int:
        """How many units too many are sold, held or for sale, whatever the capacity is.

        A counter below zero is a debt, not stock: it does not make up for what was sold.
        """
        return oversold(
            sold=self.sold or 0, held=self.held, remaining=self.remaining, capacity=self.capacities[-1]
        )

    def violation(
        self,
        law: str,
        message: str,
        buyers: tuple[str, ...] | None = None,
        *,
        commit: Commit | None = None,
    ) -> Violation:
        """Return a violation about this ticket type with the numbers filled in.

        :param commit: which one broke the law; ``None``: the one that made this state.
        """
        return Violation(
            law=law,
            message=f"{self.ticket}: {message}",
            ticket=self.ticket,
            initial=self.initial,
            remaining=self.remaining,
            sold=self.sold,
            held=self.held,
            buyers=self.buyers if buyers is None else buyers,
            commit=commit or self.commit,
        )

    def faulty(self, law: str, faults: Mapping[str, Iterable[str]], *more: str) -> Violation:
        """Return a violation that lists what is wrong, each with whom it is wrong, and what else is."""
        clauses = (*(f"{what}: {people(who)}" for what, who in faults.items()), *more)
        buyers = dict.fromkeys(person for who in faults.values() for person in who)
        return self.violation(law, f"{self.told()}, but {'; '.join(clauses)}.", tuple(buyers))

    def told(self) -> str:
        """Return the numbers in words: ``started with 10, sold 14 and 0 remain``."""
        parts = [f"sold {'an unknown number' if self.sold is None else self.sold}"]
        if self.held:
            parts.append(f"{self.held} are held")
        if self.remaining is not None:
            parts.append(f"{self.remaining} {'remain' if self.final else 'remained'}")
        moment = "" if self.final else "at one moment "
        return f"started with {self.initial}{self._changed()}, {moment}{' and '.join(parts)}"

    def _changed(self) -> str:
        """Return in words what became of the capacity."""
        others = [capacity for capacity in self.capacities if capacity != self.initial]
        if not others:
            return ""
        if self.final and len(self.capacities) == 1:
            return f", {'raised' if others[0] > self.initial else 'lowered'} to {others[0]}"
        how = "perhaps changed" if self.final else "changed meanwhile"
        return f", {how} to {' or '.join(map(str, others))}"


def first_commit(states: Iterable[tuple[Commit | None, bool]]) -> Commit | None:
    """Return the first known commit after which something was wrong.

    :param states: for each state, in their order: the commit that made it, and whether something is wrong.
    """
    return next((commit for commit, wrong in states if wrong and commit is not None), None)


def views(evidence: Evidence, ticket: TicketType) -> Iterator[View]:
    """Yield one ticket type as it was in every state, the final one first."""
    capacity = capacities(evidence)[ticket.name]
    yield view(evidence, ticket, capacity=capacity)
    for books in evidence.states:
        yield view(evidence, ticket, books, capacity=capacity)


def view(
    evidence: Evidence, ticket: TicketType, books: Books | None = None, *, capacity: Capacity | None = None
) -> View:
    """Return one ticket type as a state shows it: the final one, unless another is given."""
    final = books is None or books is evidence.books
    books = evidence.books if books is None else books
    capacity = capacity or capacities(evidence)[ticket.name]
    stock = stock_of(books, ticket) or Stock(ticket=ticket.name, initial=ticket.initial)
    return View(
        ticket=ticket.name,
        initial=ticket.initial,
        capacities=capacity.final if final else capacity.ever,
        sold=books.sold(stock),
        remaining=stock.remaining,
        held=stock.held,
        buyers=tuple(entry.person for entry in books.of(ticket.name)),
        final=final,
        commit=books.commit,
    )


def oversold(*, sold: int, held: int, remaining: int | None, capacity: int) -> int:
    """Return how many units too many are sold, held or for sale; a counter below zero is no stock."""
    return sold + held + max(0, remaining or 0) - capacity


def below_zero(remaining: int | None, sold: int | None, held: int | None) -> Iterator[tuple[int, str]]:
    """Yield the counters that are below zero, with what they count."""
    for number, name in ((remaining, "remaining"), (sold, "sold"), (held, "held")):
        if number is not None and number < 0:
            yield number, name


def stock_of(books: Books, ticket: TicketType) -> Stock | None:
    """Return the target's own numbers about one ticket type, if these books have them."""
    return next((stock for stock in books.stock if stock.ticket == ticket.name), None)


def final_views(evidence: Evidence) -> Iterator[View]:
    """Yield every ticket type as it was at the end."""
    return (view(evidence, ticket) for ticket in evidence.scenario.tickets)


def by_person(rows: Iterable[Entry]) -> defaultdict[str, list[Entry]]:
    """Return the rows of each person; asked for anybody else, none."""
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        found[row.person].append(row)
    return found


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
