"""How much there can have been to sell, when the capacity of a ticket type was changed on the way.

An accepted change holds from some moment of its call until the next accepted one takes effect. One whose
outcome is unknown may take effect at any time after it was invoked, or never.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from harness.laws._memo import once
from harness.laws._steps import Levels
from harness.model import ChangeCapacity
from harness.model.history import NEVER, ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.model import Call, Evidence, TicketType


class Capacity:
    """The capacities that one ticket type can have had."""

    def __init__(self, ticket: TicketType, changes: Iterable[Call] = ()) -> None:
        """Take the changes of its capacity that were accepted or whose outcome is unknown."""
        self.initial = ticket.initial
        self._changes = [
            (call.invoked, ended(call), call.operation.capacity)
            for call in changes
            if isinstance(call.operation, ChangeCapacity)
        ]
        self.final = self._final()
        """Those it can have at the end, in ascending order."""
        self.ever = tuple(sorted({self.initial, *(capacity for _, _, capacity in self._changes)}))
        """Those it can have had at any time, in ascending order."""
        self._most = Levels(self._levels(-1), max)
        self._least = Levels(self._levels(+1), min)

    def most(self, start: int, end: int) -> int:
        """Return the largest capacity possible at any moment between these times."""
        return self._most.between(start, end)

    def least(self, start: int, end: int) -> int:
        """Return the smallest capacity possible at any moment between these times."""
        return self._least.between(start, end)

    def _final(self) -> tuple[int, ...]:
        last = self._superseded_until(NEVER)
        possible = {capacity for _, end, capacity in self._changes if last is None or end > last}
        return tuple(sorted(possible if last is not None else {self.initial, *possible}))

    def _superseded_until(self, time: int) -> int | None:
        """Return when the last change that was answered by then was invoked: all before it are over."""
        return max(
            (invoked for invoked, end, _ in self._changes if end <= time and end != NEVER), default=None
        )

    def _levels(self, sign: int) -> list[tuple[int, int]]:
        """Return the smallest (sign +1) or largest (-1) capacity possible from each moment on."""
        moments = sorted(
            [(invoked, 0, end, capacity) for invoked, end, capacity in self._changes]
            + [(end, 1, invoked, capacity) for invoked, end, capacity in self._changes if end != NEVER]
        )
        # Each with the time by which its call had been answered: it is over once a later one has been, too.
        possible: list[tuple[int, int]] = [(sign * self.initial, -NEVER)]
        over: int | None = None
        levels = [(-NEVER, self.initial)]
        for time, answered, other, capacity in moments:
            if answered:
                over = other if over is None else max(over, other)
            else:
                heappush(possible, (sign * capacity, other))
            while over is not None and possible[0][1] <= over:
                heappop(possible)
            levels.append((time, sign * possible[0][0]))
        return levels


@once
def capacities(evidence: Evidence) -> Mapping[str, Capacity]:
    """Return what the history says about the capacity of each ticket type of the scenario."""
    changes: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.history:
        if isinstance(call.operation, ChangeCapacity) and call.may_have_happened:
            changes[call.operation.ticket].append(call)
    return {ticket.name: Capacity(ticket, changes[ticket.name]) for ticket in evidence.scenario.tickets}
