"""A fast decision for one counter: are there moments at which all that was said of it was true?

Theory of operation. Of a ticket type's history only what concerns the number of units that remain is left
(``columns.py``): takes and gives of some units, refusals and reads, each with the interval in
which its moment lies. Some takes and gives are optional, since their outcome is not known. Four ideas:

- *Laziness*. What can wait for its own completion waits for it (just-in-time linearization, Lowe 2017): the
  only moments worth a look are immediately before completions.
- *Earliest deadline first*. Takes of one size do the same, so of those under way the one that ends first is
  placed first: exchanging the moments of two keeps to both intervals. The same holds for gives. A refusal
  or read that is true now is placed now: that takes nothing from anybody.
- *Certificates*. The greedy walk (``walk.py``) takes the first decision that works; it costs as
  much as the history is long. What it finds is an order, which is then checked by itself, so that a yes
  does not rest on the walk being right.
- *Stretches*. Where the walk is stuck, decisions shortly before may have been the wrong ones. A sweep over
  *sets* of states (``stretch.py``) goes over the last stretch again: from the state in which
  the walk entered it, to find other decisions; and from every state in which anything could have entered
  it, to find that there are none.

The last needs nothing of what was before but the number of units that remain when only completed calls are
placed. For each number that may remain instead, take the state in which the fewest takes and gives under way
are placed, those that end first, and all refusals and reads under way are explained. With single units it can
do all that any other state with that number can: place what the other has placed more, in pairs, and have
later deadlines left. So when none of these survives the stretch, nothing explains the history, however long
it was before. Stretches double until one of the two comes to a result, the first completion is reached, where
both are the same, or the budget is used up.

Single units make all of this exact. With other amounts the deadlines still order those of one amount, and the
sets are over all combinations of amounts, as long as the budget lasts. To see that there is no explanation,
everything is taken and given unit by unit instead: where even that cannot be explained, nothing can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.laws._checker.columns import holds
from harness.laws._checker.stretch import SpentError, Stretches
from harness.laws._checker.walk import Snapshot, StuckError, Walk

if TYPE_CHECKING:
    from harness.laws._checker.columns import Columns
    from harness.laws._checker.stretch import Crossed

_BEYOND = 48
"""How many completions after the trouble a stretch has to survive before the walk goes on."""
_WIDTH = 64
"""How many states are kept when looking for other decisions."""
_ALL = 4096
"""How many are kept when looking for whether there are any."""

_NEAR = 4
"""At how many of the nearest snapshots it is looked first whether there is any way at all."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of it: an explanation, a place that has none, or neither."""

    order: list[int] | None = None
    """The rows in the order of their moments; optional ones may be missing. It has been checked."""
    stuck: int | None = None
    """A row up to whose completion there is no explanation."""
    undecided: str = ""
    """Why there is neither."""


def sweep(columns: Columns, *, budget: int) -> Swept:
    """Decide whether moments exist.

    :param columns: in the order of invocation.
    :param budget: how many states the sweeps over stretches may look at in all.
    """
    walk = Walk(columns)
    mender: _Mender | None = None
    found: Snapshot | Swept = walk.snapshots[0]
    while isinstance(found, Snapshot):
        try:
            walk.run(found)
        except StuckError as stuck:
            mender = mender or _Mender(walk, budget)
            found = mender.mend(stuck.position)
        else:
            if not holds(columns, walk.order):
                raise AssertionError("the walk found an order that does not hold")
            found = Swept(order=walk.order)
    return found


class _Mender:
    """Finds out how a walk can go on where it is stuck, or that nothing can."""

    def __init__(self, walk: Walk, budget: int) -> None:
        self._walk = walk
        self._budget = budget
        self._stretches = Stretches(walk, budget)

    def mend(self, stuck: int) -> Snapshot | Swept:
        """Return from where the walk can go on, or what is the end of it."""
        try:
            return self._mended(stuck)
        except SpentError:
            return Swept(undecided=f"more than {self._budget} states had to be looked at")

    def _mended(self, stuck: int) -> Snapshot | Swept:
        walk = self._walk
        until = min(stuck + _BEYOND, len(walk.by_end))
        starts = _starts(walk)
        # To see that there is nothing is the cheaper of the two: it is of single units, whatever the amounts.
        for start in starts[:_NEAR]:
            if (row := self._stretches.impassable(start, until, _ALL)) is not None:
                return Swept(stuck=row)
        for number, start in enumerate(starts):
            if number >= _NEAR and (row := self._stretches.impassable(start, until, _ALL)) is not None:
                return Swept(stuck=row)
            first = start.position == 0
            crossed = self._stretches.from_walk(start, until, _ALL if first else _WIDTH)
            if crossed.state is not None:
                return _resumed(walk, start, crossed)
            if first and crossed.complete:
                return Swept(stuck=walk.by_end[crossed.position])
        return Swept(undecided="too many states had to be kept")


def _starts(walk: Walk) -> list[Snapshot]:
    """Return where stretches begin, each twice as far back as the one before, the first completion last."""
    number, back, starts = len(walk.snapshots) - 1, 1, []
    while number > 0:
        starts.append(walk.snapshots[number])
        back *= 2
        number -= back
    return [*starts, walk.snapshots[0]]


def _resumed(walk: Walk, start: Snapshot, crossed: Crossed) -> Snapshot:
    """Put the order that was found instead of the walk's, and return where it ends."""
    if crossed.state is None:
        raise AssertionError("nothing was found")
    left, waiting, opened = crossed.state
    walk.order[start.placed :] = crossed.trail
    rows = tuple(walk.by_end[rank] for rank in waiting)
    return Snapshot(crossed.position, crossed.admitted, left, len(walk.order), rows, opened)
