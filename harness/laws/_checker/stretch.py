"""Sets of states over a stretch of one counter's columns; see ``sweep.py`` for the theory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate, compress
from typing import TYPE_CHECKING, TypeAlias

from harness.laws._checker.columns import GIVE, READ, REFUSAL, TAKE
from harness.laws._checker.walk import Snapshot, Walk
from harness.model.history import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_State: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""How many units remain; which rows under way are not placed, by the rank of their completion; and of each
group of rows that never end, how many are placed."""
_Trail: TypeAlias = "tuple[int, _Trail] | tuple[()]"
"""The rows placed on the way, the last one first."""


_MOST = 100_000
"""How many rows a stretch may have when it is taken unit by unit."""


class SpentError(Exception):
    """The budget is used up."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """What came of a stretch."""

    state: _State | None
    """A state in which it can be left; ``None`` when there is none."""
    trail: list[int]
    """The rows placed on the way there, in order."""
    position: int
    """The completion before which that is, or the one that no state got past."""
    admitted: int
    complete: bool
    """Nothing was left out: when no state got past, there is none."""


class Stretches:
    """Sweeps over stretches of one walk, all on one budget."""

    def __init__(self, walk: Walk, budget: int) -> None:
        columns = walk.columns
        self._walk = walk
        self._budget = budget
        self._rank = [NEVER] * len(columns)
        for rank, row in enumerate(walk.by_end):
            self._rank[row] = rank
        times = zip(columns.invoked, columns.ended, strict=True)
        self._longest = max((end - begin for begin, end in times if end < NEVER), default=0)
        self._unit = columns.single
        self._sure = sum(map(bool, columns.optional)) == len(columns) - len(walk.by_end)
        """Whatever ends has happened."""
        open_ended = {columns.source[row] for _, _, rows in walk.late for row in rows}
        self._settled = all(
            columns.kind[row] == GIVE and columns.after.get(columns.source[row]) in open_ended
            for row in compress(walk.by_end, [columns.optional[row] for row in walk.by_end])
        )
        """Or it gives back what something of unknown outcome may have taken. Once it has ended, both have
        happened, or the other one alone, or none: as if there were only that other one."""
        self._completed: list[int] = []

    def from_walk(self, start: Snapshot, until: int, width: int) -> Crossed:
        """Look for other decisions from where the walk was.

        :param until: the completion before which the stretch ends.
        :param width: how many states are kept after a completion.
        """
        waiting = tuple(sorted(self._rank[row] for row in start.waiting))
        return self._cross(start, {(start.left, waiting, start.opened): ()}, until, width)

    def impassable(self, start: Snapshot, until: int, width: int) -> int | None:
        """Return a row of the stretch that nothing gets past, wherever it came from, if one is found.

        With other amounts than one everything is taken and given unit by unit, which allows for more. So does
        it to let what ends, and may not have happened, happen at any time after its invocation.
        """
        if not self._settled:
            return None
        if self._unit and self._sure:
            crossed = self._cross(start, dict.fromkeys(self._anything(start), ()), until, width)
            stuck = crossed.state is None and crossed.complete
            return self._walk.by_end[crossed.position] if stuck else None
        columns, by_end = self._walk.columns, self._walk.by_end
        first, last = columns.ended[by_end[start.position]], columns.ended[by_end[until - 1]]
        rows = self._rows(start, last)
        units = columns.part(rows, self._base(start.position)).in_units(_MOST)
        if units is None:
            return None
        walk = Walk(units)
        admitted = bisect_left(units.invoked, first)
        over = bisect_right(walk.by_end, last, key=units.ended.__getitem__)
        entered = Snapshot(0, admitted, units.initial, 0, (), (0,) * len(walk.late))
        stuck_at = Stretches(walk, self._budget).impassable(entered, over, width)
        return None if stuck_at is None else rows[units.source[stuck_at]]

    def _rows(self, start: Snapshot, last: int) -> list[int]:
        """Return the rows under way at the beginning of a stretch, and those invoked in it."""
        columns = self._walk.columns
        begin = columns.invoked[start.admitted - 1] - self._longest if start.admitted else 0
        earliest = bisect_left(columns.invoked, begin, hi=start.admitted)
        late = [row for _, _, rows in self._walk.late for row in rows if row < earliest]
        closed = [
            row
            for row in range(earliest, bisect_left(columns.invoked, last))
            if self._rank[row] >= start.position
        ]
        return [*sorted(late), *closed]

    def _cross(self, start: Snapshot, states: Mapping[_State, _Trail], until: int, width: int) -> Crossed:
        walk, columns = self._walk, self._walk.columns
        admitted, complete = start.admitted, True
        for position in range(start.position, min(until, len(walk.by_end))):
            end = columns.ended[walk.by_end[position]]
            fresh: list[int] = []
            while admitted < len(columns) and columns.invoked[admitted] < end:
                if columns.ended[admitted] < NEVER:
                    fresh.append(self._rank[admitted])
                admitted += 1
            after: dict[_State, _Trail] = {}
            for state, trail in states.items():
                begun, way = self._admit(state, trail, fresh)
                self._complete(begun, way, position, admitted, after)
            if not after:
                return Crossed(None, [], position, admitted, complete)
            states = self._pruned(after)
            if len(states) > width:
                states = dict(sorted(states.items(), key=_laziness)[:width])
                complete = False
        state, trail = min(states.items(), key=_laziness)
        return Crossed(state, _unrolled(trail), min(until, len(walk.by_end)), admitted, complete)

    def _admit(self, state: _State, trail: _Trail, fresh: Iterable[int]) -> tuple[_State, _Trail]:
        """Let rows begin; what is true at once has its moment."""
        left, waiting, opened = state
        begun = list(waiting)
        for rank in fresh:
            row = self._walk.by_end[rank]
            if self._is_true(row, left):
                trail = (row, trail)
            else:
                insort(begun, rank)
        return (left, tuple(begun), opened), trail

    def _complete(
        self, state: _State, trail: _Trail, position: int, admitted: int, after: dict[_State, _Trail]
    ) -> None:
        """Add every state in which this completion can have been got past.

        Of a row that is placed already nothing more is needed now: whatever can wait, waits.
        """
        waiting = state[1]
        if not waiting or waiting[0] != position:
            after.setdefault(state, trail)
            return
        if self._walk.columns.optional[self._walk.by_end[position]]:
            after.setdefault((state[0], waiting[1:], state[2]), trail)
        if not self._can_complete(state, position, admitted):
            return
        low, high = self._range(state)
        moves = self._runs if self._unit and self._sure else self._steps
        seen = {state}
        stack = [(state, trail)]
        while stack:
            here, way = stack.pop()
            self._budget -= 1
            if self._budget < 0:
                raise SpentError
            for there, on in moves(here, way, admitted):
                if there in seen or not low <= there[0] <= high:
                    continue
                seen.add(there)
                if there[1] and there[1][0] == position:
                    stack.append((there, on))
                else:
                    after.setdefault(there, on)

    def _can_complete(self, state: _State, position: int, admitted: int) -> bool:
        """Say whether what can be placed is enough for a refusal or a read that completes."""
        columns = self._walk.columns
        row = self._walk.by_end[position]
        left, waiting, opened = state
        wanted = columns.amount[row]
        if columns.kind[row] == READ and wanted > left:
            return left + self._movable(GIVE, waiting, opened, admitted) >= wanted
        if columns.kind[row] in (READ, REFUSAL):
            most = wanted if columns.kind[row] == READ else wanted - 1
            return left - self._movable(TAKE, waiting, opened, admitted) <= most
        return True

    def _movable(self, kind: int, waiting: Iterable[int], opened: tuple[int, ...], admitted: int) -> int:
        """Return how many units all of that kind that can be placed are together."""
        columns, by_end = self._walk.columns, self._walk.by_end
        rows = (by_end[rank] for rank in waiting)
        units = sum(columns.amount[row] for row in rows if columns.kind[row] == kind)
        for group, (what, amount, late) in enumerate(self._walk.late):
            if what == kind:
                units += amount * (bisect_left(late, admitted) - opened[group])
        return units

    def _runs(self, state: _State, trail: _Trail, admitted: int) -> Iterator[tuple[_State, _Trail]]:
        """Place single gives, or takes, until something waited for comes true or the first row is placed.

        To turn back before that would be of no use. A take that completes while none remains needs one give.
        """
        first = state[1][0]
        takes_one = self._walk.columns.kind[self._walk.by_end[first]] == TAKE
        for kind in (GIVE, TAKE):
            here, way = state, trail
            while (step := self._next(kind, here, way, admitted)) is not None:
                explained = len(here[1]) - len(step[0][1]) > (here[2] == step[0][2])
                here, way = step
                turn = explained or not here[1] or here[1][0] != first
                if turn or (takes_one and here[0] == 1 and kind == GIVE):
                    yield here, way
                if turn:
                    break

    def _next(self, kind: int, state: _State, trail: _Trail, admitted: int) -> tuple[_State, _Trail] | None:
        """Place the next single give or take."""
        left, waiting, opened = state
        columns, by_end = self._walk.columns, self._walk.by_end
        if kind == TAKE and left == 0:
            return None
        left += 1 if kind == GIVE else -1
        for at, rank in enumerate(waiting):
            if columns.kind[by_end[rank]] == kind:
                return self._moved(by_end[rank], waiting[:at] + waiting[at + 1 :], opened, left, trail)
        for group, (what, _, rows) in enumerate(self._walk.late):
            used = opened[group]
            if what == kind and used < len(rows) and rows[used] < admitted:
                more = (*opened[:group], used + 1, *opened[group + 1 :])
                return self._moved(rows[used], waiting, more, left, trail)
        return None

    def _steps(self, state: _State, trail: _Trail, admitted: int) -> Iterator[tuple[_State, _Trail]]:
        """Place one more take or give: of each size the one that ends first, at last one that never does."""
        left, waiting, opened = state
        columns, by_end = self._walk.columns, self._walk.by_end
        tried: set[tuple[int, int, int]] = set()
        for at, rank in enumerate(waiting):
            row = by_end[rank]
            kind, amount = columns.kind[row], columns.amount[row]
            alike = (kind, amount, columns.optional[row])
            if kind > GIVE or alike in tried:
                continue
            tried.add(alike)
            if kind == GIVE or amount <= left:
                rest = waiting[:at] + waiting[at + 1 :]
                yield self._moved(row, rest, opened, left + (amount if kind == GIVE else -amount), trail)
        for group, (kind, amount, rows) in enumerate(self._walk.late):
            used = opened[group]
            before = (kind, amount, False) in tried or (kind, amount, True) in tried
            if before or used == len(rows) or rows[used] >= admitted:
                continue
            if kind == GIVE or amount <= left:
                more = (*opened[:group], used + 1, *opened[group + 1 :])
                moved = left + (amount if kind == GIVE else -amount)
                yield self._moved(rows[used], waiting, more, moved, trail)

    def _moved(
        self, row: int, waiting: tuple[int, ...], opened: tuple[int, ...], left: int, trail: _Trail
    ) -> tuple[_State, _Trail]:
        """Return the state after a row was placed, with every refusal and read placed that is true now."""
        by_end = self._walk.by_end
        trail = (row, trail)
        true = [rank for rank in waiting if self._is_true(by_end[rank], left)]
        if true:
            waiting = tuple(rank for rank in waiting if rank not in true)
            for rank in true:
                trail = (by_end[rank], trail)
        return (left, waiting, opened), trail

    def _is_true(self, row: int, left: int) -> bool:
        columns = self._walk.columns
        kind = columns.kind[row]
        if kind == READ:
            return left == columns.amount[row]
        return kind == REFUSAL and left < columns.amount[row]

    def _range(self, state: _State) -> tuple[int, int]:
        """Return between which numbers the steps before one completion can be of use.

        With single units a number that is not on the way to one that somebody waits for is of none: the
        steps there and back can wait.
        """
        left, waiting, _ = state
        if not self._unit:
            return 0, NEVER
        columns = self._walk.columns
        wanted = [left]
        first = True
        for rank in waiting:
            row = self._walk.by_end[rank]
            kind = columns.kind[row]
            if kind == READ:
                wanted.append(columns.amount[row])
            elif kind == REFUSAL:
                wanted.append(columns.amount[row] - 1)
            elif first:
                # The row that completes, which comes first: it moves the number itself.
                wanted += [max(left - 1, 0), 1] if kind == TAKE else [left + 1]
            first = False
        return min(wanted) - 1, max(wanted) + 1

    def _pruned(self, states: dict[_State, _Trail]) -> dict[_State, _Trail]:
        """Leave out states that can do nothing that another one cannot."""
        if not (self._unit and self._sure) or len(states) == 1:
            return states
        by_left: dict[int, list[tuple[_State, _Trail]]] = defaultdict(list)
        for item in states.items():
            by_left[item[0][0]].append(item)
        kept: dict[_State, _Trail] = {}
        for items in by_left.values():
            items.sort(key=_laziness)
            best: list[_Reach] = []
            for state, trail in items:
                reach = self._reach(state)
                if not any(other.covers(reach) for other in best):
                    best.append(reach)
                    kept[state] = trail
        return kept

    def _reach(self, state: _State) -> _Reach:
        columns, by_end = self._walk.columns, self._walk.by_end
        _, waiting, opened = state
        kinds = [columns.kind[by_end[rank]] for rank in waiting]
        spent = {kind: opened[group] for group, (kind, _, _) in enumerate(self._walk.late)}
        return _Reach(
            takes=tuple(rank for rank, kind in zip(waiting, kinds, strict=True) if kind == TAKE),
            gives=tuple(rank for rank, kind in zip(waiting, kinds, strict=True) if kind == GIVE),
            observers=frozenset(rank for rank, kind in zip(waiting, kinds, strict=True) if kind > GIVE),
            opened=(spent.get(TAKE, 0), spent.get(GIVE, 0)),
        )

    def _anything(self, start: Snapshot) -> list[_State]:
        """Return states that together can do all that any state there can, where all is of single units."""
        takes, gives = self._pending(start, TAKE), self._pending(start, GIVE)
        base = self._base(start.position)
        most = base + len(gives) + self._opened(start, GIVE)
        states = (self._least(start, takes, gives, left - base) for left in range(most + 1))
        return [state for state in states if state is not None]

    def _least(self, start: Snapshot, takes: list[int], gives: list[int], change: int) -> _State | None:
        """Return the state with the fewest rows placed that changes the number of units by so many."""
        ranks, placed, kind = (takes, -change, TAKE) if change < 0 else (gives, change, GIVE)
        late = max(0, placed - len(ranks))
        if late > self._opened(start, kind):
            return None
        others = gives if kind == TAKE else takes
        opened = tuple(late * (what == kind) for what, _, _ in self._walk.late)
        return (self._base(start.position) + change, tuple(sorted([*ranks[placed:], *others])), opened)

    def _opened(self, start: Snapshot, kind: int) -> int:
        """Return how many rows of the kind that never end were invoked before."""
        return sum(row < start.admitted for what, _, rows in self._walk.late if what == kind for row in rows)

    def _pending(self, start: Snapshot, kind: int) -> list[int]:
        """Return the ranks of the rows of the kind under way, in order."""
        rows = self._rows(start, self._walk.columns.invoked[start.admitted - 1] + 1) if start.admitted else []
        columns = self._walk.columns
        return sorted(
            self._rank[row] for row in rows if columns.kind[row] == kind and self._rank[row] < NEVER
        )

    def _base(self, position: int) -> int:
        """Return how many units remain when nothing is placed but what has completed before."""
        if not self._completed:
            columns = self._walk.columns
            signs = {TAKE: -1, GIVE: 1, REFUSAL: 0, READ: 0}
            changes = (
                0 if columns.optional[row] else signs[columns.kind[row]] * columns.amount[row]
                for row in self._walk.by_end
            )
            self._completed = list(accumulate(changes, initial=columns.initial))
        return self._completed[position]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a state can still do, where all takes and gives are of one unit."""

    takes: tuple[int, ...]
    """Ranks of those not placed."""
    gives: tuple[int, ...]
    observers: frozenset[int]
    opened: tuple[int, int]
    """How many takes and gives that never end are placed."""

    def covers(self, other: _Reach) -> bool:
        """Say whether a state with this reach can do all that one with the other, and as many units, can.

        It can when it has to explain no more, and after placing at once as many takes and gives more as the
        other has placed, those that end first, its remaining ones end no earlier.
        """
        return (
            self.observers <= other.observers
            and _no_earlier(self.takes, other.takes, self.opened[0] - other.opened[0])
            and _no_earlier(self.gives, other.gives, self.opened[1] - other.opened[1])
        )


def _no_earlier(mine: tuple[int, ...], theirs: tuple[int, ...], more_spent: int) -> bool:
    """Compare ranks of what is not placed, where so many more of mine that never end are placed.

    Both have as many of those in all, so that mine can be taken to end in ``-more_spent`` more endless ones.
    """
    ahead = len(mine) - len(theirs) - more_spent
    if ahead < 0:
        return False
    rest = mine[ahead:]
    return len(rest) <= len(theirs) and all(a >= b for a, b in zip(rest, theirs, strict=False))


def _laziness(item: tuple[_State, _Trail]) -> tuple[int, int]:
    """Order states so that those come first which have placed least, and least of what never ends."""
    _, waiting, opened = item[0]
    return (sum(opened), -len(waiting))


def _unrolled(trail: _Trail) -> list[int]:
    rows: list[int] = []
    while trail:
        row, trail = trail
        rows.append(row)
    rows.reverse()
    return rows
