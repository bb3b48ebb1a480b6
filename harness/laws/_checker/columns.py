"""What is left of a ticket type's history when only its counter matters, as flat columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING

from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

TAKE, GIVE, REFUSAL, READ, GONE = range(5)
"""Some units are taken, or given back; fewer than some remain; exactly some remain; not a row any more."""


@dataclass(slots=True)
class Columns:
    """The calls that say something about one counter, a row each, in the order of invocation.

    Flat lists of numbers rather than a list of calls: a million rows are a matter of seconds then.
    """

    initial: int
    """How many units remain before the first call."""
    kind: list[int] = field(default_factory=list)
    amount: list[int] = field(default_factory=list)
    invoked: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    """:data:`NEVER` when the moment may be any after the invocation."""
    optional: list[int] = field(default_factory=list)
    """Not zero: it may never have happened. All that never end are optional."""
    source: list[int] = field(default_factory=list)
    """Which call the row came from."""
    after: dict[int, int] = field(default_factory=dict)
    """By source, calls that make no sense before another one: what gives back what that one may have taken.
    The walk heeds it where it has a choice; that an order is right is shown by other means."""

    @classmethod
    def of(cls, initial: int, columns: Iterable[list[int]], after: dict[int, int] | None = None) -> Columns:
        """Return columns given one after the other, in the order of the fields above."""
        kind, amount, invoked, ended, optional, source = columns
        return cls(initial, kind, amount, invoked, ended, optional, source, after or {})

    def add(self, kind: int, amount: int, invoked: int, ended: int, optional: bool, source: int) -> None:
        """Append a row."""
        self.kind.append(kind)
        self.amount.append(amount)
        self.invoked.append(invoked)
        self.ended.append(ended)
        self.optional.append(optional)
        self.source.append(source)

    def put(
        self, row: int | None, kind: int, amount: int, invoked: int, ended: int, optional: bool, source: int
    ) -> None:
        """Say something else in a row, or append one."""
        if row is None:
            self.add(kind, amount, invoked, ended, optional, source)
            return
        self.kind[row] = kind
        self.amount[row] = amount
        self.ended[row] = ended
        self.optional[row] = optional

    def tidied(self) -> Columns:
        """Return the rows that are not gone, in the order of invocation."""
        columns = (self.kind, self.amount, self.invoked, self.ended, self.optional, self.source)
        keep = [kind != GONE for kind in self.kind]
        kept = Columns.of(self.initial, (list(compress(column, keep)) for column in columns), self.after)
        order = sorted(range(len(kept)), key=kept.invoked.__getitem__)
        if order == list(range(len(kept))):
            return kept
        columns = (kept.kind, kept.amount, kept.invoked, kept.ended, kept.optional, kept.source)
        return Columns.of(self.initial, ([column[row] for row in order] for column in columns), self.after)

    def part(self, rows: list[int], initial: int) -> Columns:
        """Return only these rows, with so many units before them; their sources are their places in ``rows``.

        What is optional never ends in them.
        """
        columns = (self.kind, self.amount, self.invoked, self.ended, self.optional)
        kind, amount, invoked, ended, optional = ([column[row] for row in rows] for column in columns)
        ended = [NEVER if may_not else end for end, may_not in zip(ended, optional, strict=True)]
        return Columns.of(initial, [kind, amount, invoked, ended, optional, list(range(len(rows)))])

    @property
    def single(self) -> bool:
        """Every take and give is of one unit."""
        pairs = set(zip(self.kind, self.amount, strict=True))
        return all(amount == 1 for kind, amount in pairs if kind in (TAKE, GIVE))

    def in_units(self, most: int) -> Columns | None:
        """Return columns in which everything is taken and given unit by unit, each at a moment of its own.

        Whatever explains these columns explains those. A row's source is the row it came from.

        :param most: how many rows there may be; ``None`` is returned when there were more.
        """
        times = [
            amount if kind in (TAKE, GIVE) else 1 for kind, amount in zip(self.kind, self.amount, strict=True)
        ]
        if sum(times) > most:
            return None
        rows = [row for row, count in enumerate(times) for _ in range(count)]
        times_of = ([column[row] for row in rows] for column in (self.invoked, self.ended, self.optional))
        kinds = [self.kind[row] for row in rows]
        amounts = [1 if self.kind[row] in (TAKE, GIVE) else self.amount[row] for row in rows]
        return Columns.of(self.initial, [kinds, amounts, *times_of, rows])

    def __len__(self) -> int:
        return len(self.kind)


def holds(columns: Columns, order: Iterable[int]) -> bool:
    """Check an explanation.

    :param order: rows in the order of their moments; optional ones may be missing.
    :return: whether no row comes twice, none that must be there is missing, the order keeps to all intervals,
        and every row is true when it comes.
    """
    kind, amount, invoked, ended = columns.kind, columns.amount, columns.invoked, columns.ended
    left, moment = columns.initial, -NEVER
    missing = bytearray(not optional for optional in columns.optional)
    again = bytearray(len(columns))
    for row in order:
        if invoked[row] > moment:
            moment = invoked[row]
        if again[row] or ended[row] <= moment:
            return False
        again[row] = 1
        missing[row] = 0
        what = kind[row]
        if what == TAKE:
            left -= amount[row]
            if left < 0:
                return False
        elif what == GIVE:
            left += amount[row]
        elif what == REFUSAL:
            if left >= amount[row]:
                return False
        elif left != amount[row]:
            return False
    return not any(missing)
