"""The orders one schedule stands for: how many there are, and the one that leaves clients the least often.

All are linear extensions of the same partial order: the steps with every dependent pair as it is.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from harness.exploring.events import StepKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.exploring.conflicts import Conflicts
    from harness.exploring.events import Event


def orders(events: Sequence[Event], conflicts: Conflicts) -> int:
    """Count the orders of the choices that led to these steps which keep every dependent pair as it is.

    Each client's choices form a chain, so a set of made choices is one number for each client, and the
    count goes over those: at most the product of the chains' lengths plus one. It goes forward, one choice at
    a time, since a client that polls makes schedules longer than Python's stack is deep.
    """
    steps = [tuple(group) for _, group in groupby(events, key=lambda event: event.decision)]
    chains, needs = _partial_order(steps, conflicts)

    ways = {(0,) * len(chains): 1}
    for _ in steps:
        further: dict[tuple[int, ...], int] = defaultdict(int)
        for done, count in ways.items():
            for c, chain in enumerate(chains):
                if _ready(chain, needs, done, c):
                    further[_advance(done, c)] += count
        ways = further
    return sum(ways.values())


def fewest_switches(events: Sequence[Event], conflicts: Conflicts) -> tuple[str, ...] | None:
    """Return the clients of these steps in an equivalent order that changes between them the least often.

    ``None`` when some step came by itself, as when a lock was let go of: those cannot be put elsewhere.
    """
    if any(event.kind is StepKind.RESUME for event in events):
        return None
    chains, needs = _partial_order([(event,) for event in events], conflicts)
    names = [events[chain[0]].client for chain in chains]

    # By what has been made, and by whom the last of it: the fewest changes, and the first order with those.
    best: dict[tuple[tuple[int, ...], int], tuple[int, tuple[int, ...]]] = {((0,) * len(chains), -1): (0, ())}
    for _ in events:
        further: dict[tuple[tuple[int, ...], int], tuple[int, tuple[int, ...]]] = {}
        for (done, last), (changes, order) in best.items():
            for c, chain in enumerate(chains):
                if _ready(chain, needs, done, c):
                    state, found = (_advance(done, c), c), (changes + (c != last), (*order, c))
                    further[state] = min(found, further.get(state, found))
        best = further
    return tuple(names[c] for c in min(best.values())[1])


def _partial_order(
    steps: Sequence[tuple[Event, ...]], conflicts: Conflicts
) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Return each client's steps, and for each step the ones it comes after, as client and place."""
    names = [events[0].client for events in steps]
    clients = list(dict.fromkeys(names))
    chains = [[i for i, name in enumerate(names) if name == client] for client in clients]
    place = {index: (c, n) for c, chain in enumerate(chains) for n, index in enumerate(chain)}
    needs = [
        [place[j] for j in range(i) if any(conflicts.dependent(a, b) for a in steps[j] for b in events)]
        for i, events in enumerate(steps)
    ]
    return chains, needs


def _ready(chain: list[int], needs: list[list[tuple[int, int]]], done: tuple[int, ...], c: int) -> bool:
    """Say whether a client's next step may come now."""
    return done[c] < len(chain) and all(done[other] > number for other, number in needs[chain[done[c]]])


def _advance(done: tuple[int, ...], c: int) -> tuple[int, ...]:
    return (*done[:c], done[c] + 1, *done[c + 1 :])
