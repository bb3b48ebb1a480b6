"""What is left of a ticket type's history when only its counter matters, as flat columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

TAKE, GIVE, REFUSAL, READ = range(4)
"""Some units are taken, or given back; fewer than some remain; exactly some remain."""


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
    optional: list[bool] = field(default_factory=list)
    """It may never have happened. All that never end are optional."""
    source: list[int] = field(default_factory=list)
    """Which call the row came from."""

    def add(self, kind: int, amount: int, invoked: int, ended: int, optional: bool, source: int) -> None:
        """Append a row."""
        self.kind.append(kind)
        self.amount.append(amount)
        self.invoked.append(invoked)
        self.ended.append(ended)
        self.optional.append(optional)
        self.source.append(source)

    def sorted(self) -> Columns:
        """Return the same rows in the order of invocation."""
        order = sorted(range(len(self)), key=self.invoked.__getitem__)
        return self.picked(order)

    def picked(self, rows: Iterable[int]) -> Columns:
        """Return only these rows, in this order."""
        rows = list(rows)
        return Columns(
            self.initial,
            *([column[row] for row in rows] for column in (self.kind, self.amount, self.invoked, self.ended)),
            [self.optional[row] for row in rows],
            [self.source[row] for row in rows],
        )

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
