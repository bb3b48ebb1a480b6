"""The greedy walk through the columns of one counter; see ``sweep.py`` for the theory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from harness.laws._checker.columns import GIVE, READ, REFUSAL, TAKE
from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.laws._checker.columns import Columns

STRETCH = 256
"""Completions between two snapshots."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The walk immediately before some completion."""

    position: int
    """Which completion, in their order."""
    admitted: int
    """How many rows were invoked before."""
    left: int
    """How many units remain."""
    placed: int
    """How many rows have their moment."""
    waiting: tuple[int, ...]
    """The rows under way that have none yet, without those that never end."""
    opened: tuple[int, ...]
    """Of each group of rows that never end, how many have their moment."""


class StuckError(Exception):
    """The walk found no way past the completion at this position."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class Walk:
    """The order found so far, and the snapshots from which another one can be tried."""

    def __init__(self, columns: Columns) -> None:
        ended = columns.ended
        closed = [row for row, end in enumerate(ended) if end < NEVER]
        self.columns = columns
        self.by_end = sorted(closed, key=ended.__getitem__)
        """The rows that end, in that order."""
        self.late = _late(columns) if len(closed) < len(columns) else []
        """Kind, amount and rows, in the order of invocation, of those that never end."""
        self.order: list[int] = []
        row_of = {source: row for row, source in enumerate(columns.source)} if columns.after else {}
        self._after = {row_of[late]: row_of[early] for late, early in columns.after.items()}
        self._done = bytearray()
        self.snapshots = [Snapshot(0, 0, columns.initial, 0, (), (0,) * len(self.late))]

    def run(self, start: Snapshot) -> None:
        """Go on from there to the end of the history.

        :raises StuckError: when something completes that cannot be made true.
        """
        columns, by_end = self.columns, self.by_end
        kind, amount, invoked, ended = columns.kind, columns.amount, columns.invoked, columns.ended
        optional, rows, order = columns.optional, len(columns), self.order
        del order[start.placed :]
        done = self._done = bytearray(rows)
        for row in order:
            done[row] = 1
        self.snapshots = [each for each in self.snapshots if each.position < start.position]
        admitted, left, opened = start.admitted, start.left, list(start.opened)
        takes = {row for row in start.waiting if kind[row] == TAKE}
        gives = {row for row in start.waiting if kind[row] == GIVE}
        refusals, reads = _observers(columns, start.waiting)
        for position in range(start.position, len(by_end)):
            row = by_end[position]
            end = ended[row]
            while admitted < rows and invoked[admitted] < end:
                what = kind[admitted]
                size = amount[admitted]
                if what == TAKE:
                    if ended[admitted] < NEVER:
                        takes.add(admitted)
                elif what == GIVE:
                    if ended[admitted] < NEVER:
                        gives.add(admitted)
                elif left == size if what == READ else left < size:
                    done[admitted] = 1
                    order.append(admitted)
                elif what == READ:
                    reads.setdefault(size, []).append(admitted)
                else:
                    refusals.setdefault(size, []).append(admitted)
                admitted += 1
            if not position % STRETCH:
                waiting = (*takes, *gives, *chain(*refusals.values()), *chain(*reads.values()))
                self.snapshots.append(Snapshot(position, admitted, left, len(order), waiting, tuple(opened)))
            if done[row]:
                continue
            what = kind[row]
            size = amount[row]
            if optional[row]:
                takes.discard(row)
                gives.discard(row)
                continue
            plan: tuple[int, ...]
            if what == GIVE:
                plan = (row,)
            elif what == TAKE:
                if left >= size:
                    plan = (row,)
                else:
                    plan = (*self._up(left, size, NEVER, gives, opened, admitted), row)
            elif what == REFUSAL:
                plan = self._down(left, size - 1, 0, takes, opened, admitted)
            elif left > size:
                plan = self._down(left, size, size, takes, opened, admitted)
            else:
                plan = self._up(left, size, size, gives, opened, admitted)
            for step in plan:
                if kind[step] == TAKE:
                    takes.discard(step)
                    left -= amount[step]
                else:
                    gives.discard(step)
                    left += amount[step]
                done[step] = 1
                order.append(step)
                if left in reads:
                    for read in reads.pop(left):
                        done[read] = 1
                        order.append(read)
                if refusals:
                    for units in [units for units in refusals if left < units]:
                        for refusal in refusals.pop(units):
                            done[refusal] = 1
                            order.append(refusal)
            if not done[row] or left < 0:
                raise StuckError(position)

    def _up(
        self, left: int, least: int, most: int, gives: set[int], opened: list[int], admitted: int
    ) -> tuple[int, ...]:
        """Return gives after which at least ``least`` units remain and at no time more than ``most``, as far
        as there are such: first those that end first, at last those that never do."""
        return self._chosen(least - left, most - left, GIVE, gives, opened, admitted)

    def _down(
        self, left: int, most: int, least: int, takes: set[int], opened: list[int], admitted: int
    ) -> tuple[int, ...]:
        """Return takes after which at most ``most`` units remain, and never fewer than ``least``."""
        return self._chosen(left - most, left - least, TAKE, takes, opened, admitted)

    def _chosen(
        self, needed: int, room: int, kind: int, waiting: set[int], opened: list[int], admitted: int
    ) -> tuple[int, ...]:
        """Return rows that move the number by at least ``needed``, and by at most ``room`` all together."""
        amount, ended = self.columns.amount, self.columns.ended
        plan: list[int] = []
        fitting = [row for row in waiting if amount[row] <= room]
        if self._after:
            fitting = [row for row in fitting if row not in self._after or self._done[self._after[row]]]
        if needed == 1 and fitting:
            return (min(fitting, key=ended.__getitem__),)
        for row in sorted(fitting, key=ended.__getitem__):
            if needed <= 0:
                return tuple(plan)
            if amount[row] <= room:
                plan.append(row)
                needed -= amount[row]
                room -= amount[row]
        for group, (what, size, rows) in enumerate(self.late):
            while (
                needed > 0
                and what == kind
                and size <= room
                and opened[group] < len(rows)
                and rows[opened[group]] < admitted
            ):
                plan.append(rows[opened[group]])
                opened[group] += 1
                needed -= size
                room -= size
        return tuple(plan)


def _late(columns: Columns) -> list[tuple[int, int, list[int]]]:
    """Return the rows that never end, by kind and amount: those of one group do the same."""
    groups: dict[tuple[int, int], list[int]] = {}
    for row in [row for row, end in enumerate(columns.ended) if end == NEVER]:
        groups.setdefault((columns.kind[row], columns.amount[row]), []).append(row)
    return [(kind, amount, rows) for (kind, amount), rows in sorted(groups.items())]


def _observers(columns: Columns, waiting: Iterable[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Return the refusals and the reads among these rows, by amount."""
    found: tuple[dict[int, list[int]], dict[int, list[int]]] = ({}, {})
    for row in waiting:
        if columns.kind[row] in (REFUSAL, READ):
            found[columns.kind[row] == READ].setdefault(columns.amount[row], []).append(row)
    return found
