"""The exact search for an order that explains a history, for small windows of it.

Theory of operation. Wing and Gong (1993) look for an explanation depth first: of the calls that are not yet
placed, one that no other unplaced call precedes is placed next, if the specification gives its answer in
the state reached so far; where none can be, the search goes back. Lowe (2017) remembers the pairs (calls
placed, state) that were seen, since what is possible from there does not depend on how one got there. Three
things are added:

- *Windows*. At a moment at which no call is under way, everything before is placed before everything after.
  The history is cut there, and only the present window has to be remembered call by call. Different orders
  of a window may end in different states, all of which the search can come back to: a later window decides.
- *Open calls*, whose outcome is unknown, are under way for ever. They are in no window; each is placed once,
  at any time from its invocation on, or not at all.
- *Observers*, which were answered without an effect (refusals, reads), are placed as soon as they are true:
  that takes nothing from any other call.

The search counts the pairs it visits. When there are more than its budget, it says that it does not know.
When it fails, the latest completion that it could not get past is that of the first call which nothing
explains: each order that explains everything up to just before it needs another answer there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, TypeAlias

from harness.model.answers import Outcome
from harness.model.history import NEVER, Explained, Finding, ended, is_open, surroundings
from harness.model.operations import READS
from harness.model.sequential import opening

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.evidence import Books, Call
    from harness.model.history import Part
    from harness.model.sequential import State

    _Node: TypeAlias = tuple[int, int, int, State]
    """The window, which of its calls are placed, which of the open calls are, and the state."""

METHOD = "exact search"
_REFUSALS = (Outcome.SOLD_OUT, Outcome.DUPLICATE)


def search(part: Part, books: Books | None = None, *, budget: int) -> Finding:
    """Look for an order of the calls that explains their answers and, when given, ends in these books.

    :param books: the state at the end; ``None`` leaves out whether it can be reached.
    :param budget: how many pairs of placed calls and state may be visited.
    """
    return _Search(part, books, budget).run()


@dataclass(frozen=True, slots=True)
class _Window:
    """Calls between two quiet moments, in the order of their completion."""

    calls: tuple[Call, ...]
    invoked: tuple[int, ...]
    ended: tuple[int, ...]
    observes: tuple[bool, ...]

    @property
    def full(self) -> int:
        return (1 << len(self.calls)) - 1


class _Search:
    def __init__(self, part: Part, books: Books | None, budget: int) -> None:
        self._part = part
        self._books = books
        self._budget = budget
        self._open = [call for call in part.calls if is_open(call) and not _observes(call)]
        self._windows = _windows([call for call in part.calls if not is_open(call)])
        self._furthest = (-1, -1)
        """The window, and the place in it, of the latest completion that was not got past."""
        self._ended = False
        """All calls were explained, if not the books."""

    def run(self) -> Finding:
        start = (0, 0, 0, opening(self._part.tickets))
        seen = {start}
        stack = [start]
        while stack:
            if len(seen) > self._budget:
                return Finding(
                    explained=Explained.UNDECIDED,
                    method=METHOD,
                    reason=f"the exact search visited {self._budget} configurations and was not done",
                )
            window, placed, opened, state = stack.pop()
            while window < len(self._windows) and placed == self._windows[window].full:
                window, placed = window + 1, 0
            if window == len(self._windows):
                self._ended = True
                if self._books is None or state.shows(self._books):
                    return Finding(explained=Explained.YES, method=METHOD)
            for node in self._after(window, placed, opened, state):
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return self._failed()

    def _after(self, window: int, placed: int, opened: int, state: State) -> list[_Node]:
        """Return where the search can go on, the most likely last."""
        if window == len(self._windows):
            return self._late(window, placed, opened, state, NEVER)
        here = self._windows[window]
        first = (~placed & (placed + 1)).bit_length() - 1
        if (window, first) > self._furthest:
            self._furthest = (window, first)
        limit = here.ended[first]
        closed: list[_Node] = []
        for number in range(len(here.calls) - 1, first - 1, -1):
            if placed >> number & 1 or here.invoked[number] >= limit:
                continue
            call = here.calls[number]
            for after in state.follow(call.operation, call.answer):
                node = (window, placed | 1 << number, opened, after)
                if here.observes[number]:
                    return [node]
                closed.append(node)
        return [*self._late(window, placed, opened, state, limit), *closed]

    def _late(self, window: int, placed: int, opened: int, state: State, limit: int) -> list[_Node]:
        """Return where the search can go on by placing an open call that was invoked before the limit."""
        return [
            (window, placed, opened | 1 << number, after)
            for number, call in enumerate(takewhile(lambda call: call.invoked < limit, self._open))
            if not opened >> number & 1
            for after in state.follow(call.operation, call.answer)
            if after != state
        ]

    def _failed(self) -> Finding:
        if self._ended:
            return Finding(
                explained=Explained.NO,
                method=METHOD,
                reason="every answer can be explained, but no explanation leaves the books that were found",
                around=self._part.calls[-12:],
            )
        window, first = self._furthest
        call = self._windows[window].calls[first]
        return Finding(
            explained=Explained.NO,
            method=METHOD,
            ticket=call.operation.ticket,
            call=call,
            around=surroundings(self._part.calls, call),
            reason="no order of the calls up to its answer gives all of their answers",
        )


def _windows(closed: Iterable[Call]) -> list[_Window]:
    """Cut the calls, given in the order of invocation, where none is under way."""
    groups: list[list[Call]] = []
    quiet = -1
    for call in closed:
        if not groups or call.invoked >= quiet:
            groups.append([])
        groups[-1].append(call)
        quiet = max(quiet, ended(call))
    return [_window(group) for group in groups]


def _window(calls: Iterable[Call]) -> _Window:
    ordered = tuple(sorted(calls, key=ended))
    return _Window(
        calls=ordered,
        invoked=tuple(call.invoked for call in ordered),
        ended=tuple(ended(call) for call in ordered),
        observes=tuple(_observes(call) for call in ordered),
    )


def _observes(call: Call) -> bool:
    return call.answer.outcome in _REFUSALS or isinstance(call.operation, READS)
