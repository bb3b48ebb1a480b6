"""Drawn schedules: who goes on is left where it stands, and somebody else goes.

A schedule is a list of context switches and nothing else, so that the empty one means that each program runs
to its end before the next begins, and that shrinking, which makes lists shorter and numbers smaller, leaves
the fewest switches at the earliest moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.exploring.events import Event


class Switch(NamedTuple):
    """One context switch."""

    after: int
    """How many more steps the client that goes may do before it is left; one at least."""
    to: int
    """Who goes then: the n-th of the others who can, in the order of the programs."""


@dataclass(slots=True)
class SwitchChooser:
    """Chooses for one phase.

    Who goes, goes on until a switch takes the turn away, or until it cannot: it waits, or is done. Then the
    first who can takes over, which costs no switch; the next switch is counted from there.
    """

    clients: Sequence[str]
    """In the order of their programs."""
    switches: Sequence[Switch]
    _current: str | None = None
    _steps: int = 0
    _next: int = field(default=0)

    def __call__(self, able: frozenset[str], _fresh: frozenset[str], _steps: Sequence[Event]) -> str | None:
        """Return who goes next."""
        others = [client for client in self.clients if client in able and client != self._current]
        if self._current not in able:
            self._current, self._steps = others[0], 0
        elif others and self._next < len(self.switches) and self._steps >= self.switches[self._next].after:
            self._current, self._steps = others[self.switches[self._next].to % len(others)], 0
            self._next += 1
        self._steps += 1
        return self._current
