"""The states of a sale while it is driven: which laws they break, and which of them are kept.

Pure. Of each state it is asked at once whether it breaks a law about states as none before it did, and so
must be kept; the laws decide, over the states that were. At the end, the last one is held against the books
that the target shows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.laws._books import View, below_zero, oversold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.model import Books, Entry


@dataclass(slots=True)
class Followed:
    """One sale, and the states of it that are kept."""

    number: int
    tickets: Mapping[str, tuple[str, int]]
    """The scenario's name and how much there was, by what the tables call the ticket type."""
    room: int
    """Rows that may still be kept while every state is."""
    since: int = 0
    """Position in the log from which on states are states of the sale."""
    commits: int = 0
    _states: dict[int, Books] = field(default_factory=dict)
    """By the number of the commit."""
    _worst: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """How badly each law is broken for each ticket type, and in which state; kept whatever room there is."""
    _replaceable: set[int] = field(default_factory=set)

    @property
    def keeps_all(self) -> bool:
        """Every state is kept as long as there is room."""
        return self.room > 0

    def is_worse(self, law: str, ticket: str, amount: int) -> bool | None:
        """Note how badly a law is broken in the present state.

        :returns: ``True`` when it is the first time, ``False`` when it is clearly worse than ever before, and
            ``None`` otherwise.
        """
        worst, state = self._worst.get((law, ticket), (0, 0))
        if amount <= worst + worst // 4:
            return None
        self._worst[law, ticket] = amount, self.commits
        if state in self._replaceable:
            self._replaceable.discard(state)
            if all(kept != state for _, kept in self._worst.values()):
                del self._states[state]
        if worst and not self.keeps_all:
            self._replaceable.add(self.commits)
        return worst == 0

    def keep(self, books: Books) -> None:
        """Keep the present state."""
        self._states[self.commits] = books
        self.room -= 1 + sum(len(rows or ()) for rows in (books.entries, books.holds, books.waiting))

    def states(self) -> tuple[Books, ...]:
        """Return the states that were kept, in the order of the commits."""
        return tuple(self._states[number] for number in sorted(self._states))


class Numbers(NamedTuple):
    """What one state says of one ticket type."""

    remaining: int | None
    sold: int | None
    """Counted in the rows where there are such."""
    told: int | None
    """The target's own count of what it sold."""
    held: int
    empty: int
    """Rows that stand for zero or fewer units."""

    def in_words(self, ticket: str, initial: int, capacities: tuple[int, ...], what: str) -> str:
        """Return them in words, with what is wrong."""
        shown = View(ticket, initial, capacities, self.sold, self.remaining, self.held, (), final=False)
        return f"{ticket}: {shown.told()}: {what}."


def broken(numbers: Numbers, capacity: int) -> Iterator[tuple[str, int, str]]:
    """Yield the laws about states that these numbers break, how badly, and in words."""
    remaining, sold, told, held, empty = numbers
    if sold is not None:
        over = oversold(sold=sold, held=held, remaining=remaining, capacity=capacity)
        if over > 0:
            yield "no_oversell", over, f"{over} too many"
    for number, name in below_zero(remaining, told, held):
        yield "never_negative", -number, f"the count of {name} is {number}"
    if empty > 0:
        yield "never_negative", 1, f"{empty} rows stand for zero or fewer units"


def differences(told: Books, shown: Books) -> Iterator[str]:
    """Yield what the log tells of the final state otherwise than the target's own books."""
    stocks = {stock.ticket: stock for stock in shown.stock}
    for stock in told.stock:
        other = stocks.get(stock.ticket)
        if other is None:
            yield f"{stock.ticket} is not in the books"
            continue
        pairs = {
            "remaining": (stock.remaining, other.remaining),
            "sold": (stock.sold, other.sold),
            "held": (None if told.holds is None else stock.held, other.held),
        }
        for name, (mine, theirs) in pairs.items():
            if None not in (mine, theirs) and mine != theirs:
                yield f"{stock.ticket}: {name} is {mine} in the log and {theirs} in the books"
    for name in ("entries", "holds", "waiting"):
        mine, theirs = getattr(told, name), getattr(shown, name)
        if mine is not None and theirs is not None and _counted(mine) != _counted(theirs):
            yield f"{name}: {len(mine)} in the log, {len(theirs)} in the books, and not the same ones"


def _counted(rows: Iterable[Entry]) -> Counter[tuple[str, str, int]]:
    return Counter((row.ticket, row.person, row.quantity) for row in rows)
