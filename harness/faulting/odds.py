"""The odds: which fault, if any, is fired at the next step of a target under load.

Everything is drawn from the seed: first how often each kind of fault comes in relation to the others, so that
different seeds stress different kinds; then, for every step, whether something breaks at it, and what. A step
takes two numbers whatever comes of them, and no clock is asked. So the same seed draws the same sequence; at
which requests it hits is the load's doing.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.faulting.fault import Place, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.faulting.fault import Fault, Ground
    from harness.faulting.steps import SeenStep

_COSTLY = 1 / 8
"""What takes a second of everybody's time comes that much more rarely: else little else would come."""

_SPREAD = 2.0
"""As a power of two, how much more often, or more rarely, than usual a kind of fault may come."""


@dataclass(slots=True)
class Odds:
    """See the module."""

    faults: Sequence[Fault]
    """In the order of the columns."""
    rate: float
    """The share of steps at which something breaks, of those at which something can."""
    seed: str
    steps: int = 0
    """How many were drawn for."""
    shares: Mapping[str, float] = field(init=False)
    """The share of each fault in all of them, where all can be fired alike."""
    _luck: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._luck = random.Random(self.seed)  # noqa: S311  # to be repeated
        weights = {
            fault.name: 2 ** self._luck.uniform(-_SPREAD, _SPREAD)
            * (_COSTLY if fault.turn is Turn.LAST else 1.0)
            for fault in self.faults
        }
        whole = sum(weights.values())
        self.shares = {name: weight / whole for name, weight in weights.items()}

    def draw(self, step: Callable[[], SeenStep]) -> Fault | None:
        """Return what is fired at the next step; ``None`` for nothing.

        :param step: tells of the step; asked only where something breaks.
        """
        self.steps += 1
        whether, which = self._luck.random(), self._luck.random()
        if whether >= self.rate:
            return None
        seen = step()
        possible = [fault for fault in self.faults if fault.applies(seen)]
        left = which * sum(self.shares[fault.name] for fault in possible)
        for fault in possible:
            left -= self.shares[fault.name]
            if left < 0:
                return fault
        return possible[-1] if possible else None


def at_random(faults: Iterable[Fault], ground: Ground) -> tuple[Sequence[Fault], Sequence[str]]:
    """Return those faults that can be fired under load, and why others of these cannot be done to the target.

    Left out without a word are those about one request that everybody else waits for, and those that take
    down a Postgres whose log is being read.
    """
    meant = [fault for fault in faults if not fault.alone and fault.place is Place.HERE]
    reasons = Counter(reason for fault in meant if (reason := fault.impossible(ground)) is not None)
    return [fault for fault in meant if fault.impossible(ground) is None], tuple(reasons)
