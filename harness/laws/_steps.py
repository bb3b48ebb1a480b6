"""Quantities by time, prepared once, so that a long history takes no long time to judge."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Steps:
    """Quantities that are added up over time."""

    def __init__(self, steps: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(steps)
        self._times = [time for time, _ in ordered]
        self._sums = [0, *accumulate(quantity for _, quantity in ordered)]

    def before(self, time: int) -> int:
        """Return the sum of what was added before that time."""
        return self._sums[bisect_left(self._times, time)]

    def until(self, time: int) -> int:
        """Return the sum of what was added by that time."""
        return self._sums[bisect_right(self._times, time)]


class Levels:
    """A number that changes at certain times, and its extremes between any two."""

    def __init__(self, changes: Sequence[tuple[int, int]], extreme: Callable[[int, int], int]) -> None:
        """Take the times in order, each with the number from then on; the first time is before all others."""
        self._times = [time for time, _ in changes]
        self._extreme = extreme
        self._table = [[number for _, number in changes]]
        while len(self._table[-1]) > (reach := 1 << (len(self._table) - 1)):
            last = self._table[-1]
            self._table.append([extreme(a, b) for a, b in zip(last, last[reach:], strict=False)])

    def between(self, start: int, end: int) -> int:
        """Return the extreme of the number from ``start`` until just before ``end``."""
        if len(self._times) == 1:
            return self._table[0][0]
        first = bisect_right(self._times, start) - 1
        last = max(first, bisect_left(self._times, end) - 1)
        row = (last - first + 1).bit_length() - 1
        return self._extreme(self._table[row][first], self._table[row][last - (1 << row) + 1])


class FirstAfter:
    """The smallest value among the items whose key is at least, or more than, a given one."""

    def __init__(self, items: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(items)
        self._keys = [key for key, _ in ordered]
        self._least = [*accumulate((value for _, value in reversed(ordered)), min)][::-1]

    def from_(self, key: int) -> int:
        """Return the smallest value of the items with a key of at least that; ``NEVER`` if there is none."""
        return self._at(bisect_left(self._keys, key))

    def beyond(self, key: int) -> int:
        """Return the smallest value of the items with a greater key; ``NEVER`` if there is none."""
        return self._at(bisect_right(self._keys, key))

    def _at(self, place: int) -> int:
        return self._least[place] if place < len(self._least) else NEVER
