"""PCT: schedules drawn so that a bug of a given depth is found with a stated probability.

For crowds too large to be exhausted. Every client gets a random priority, and the one with the highest goes
first; at d - 1 randomly chosen steps the client that goes falls to the lowest. If a bug needs d choices to be
right, one run finds it with a probability of at least 1 / (n * k^(d - 1)) for n clients and k steps:
Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding
bugs", ASPLOS 2010, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from harness.exploring.events import Event


@dataclass(slots=True)
class PriorityChooser:
    """Chooses for one run."""

    priorities: dict[str, int]
    """By client, the higher the earlier."""
    changes: dict[int, int]
    """By step, counted from 0: the priority to which whoever goes there falls."""
    _step: int = field(default=0)

    def __call__(self, able: frozenset[str], _fresh: frozenset[str], _steps: Sequence[Event]) -> str | None:
        """Return who goes next."""
        chosen = max(able, key=self.priorities.__getitem__)
        if self._step in self.changes:
            self.priorities[chosen] = self.changes[self._step]
            chosen = max(able, key=self.priorities.__getitem__)
        self._step += 1
        return chosen


def draw(luck: random.Random, clients: Sequence[str], depth: int, steps: int) -> PriorityChooser:
    """Draw the priorities and the change points of one run.

    :param depth: how many choices must be right for the bug to show; at least 1.
    :param steps: how many steps a run has.
    """
    order = luck.sample(list(clients), len(clients))
    points = luck.sample(range(steps), min(depth - 1, steps))
    return PriorityChooser(
        priorities={client: depth + place for place, client in enumerate(order)},
        changes={point: depth - 1 - place for place, point in enumerate(points)},
    )


def probability(runs: int, clients: int, steps: int, depth: int) -> float:
    """Return the least probability that so many runs find a bug of that depth, if there is one."""
    once = 1.0 / (clients * float(max(1, steps)) ** (depth - 1))
    return 1.0 - (1.0 - once) ** runs
