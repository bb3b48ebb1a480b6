"""How many orders one schedule stands for: the linear extensions of its partial order."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.exploring.conflicts import Conflicts
    from harness.exploring.events import Event


def orders(events: Sequence[Event], conflicts: Conflicts) -> int:
    """Count the orders of these steps that keep every pair of dependent steps as it is.

    Each client's steps form a chain, so a set of done steps is one number for each client, and the count
    goes over those: at most the product of the chains' lengths plus one.
    """
    clients = sorted({event.client for event in events})
    chains = [[i for i, event in enumerate(events) if event.client == client] for client in clients]
    place = {index: (c, n) for c, chain in enumerate(chains) for n, index in enumerate(chain)}
    needs = [
        [place[j] for j in range(i) if conflicts.dependent(events[j], event)]
        for i, event in enumerate(events)
    ]

    @cache
    def ways(done: tuple[int, ...]) -> int:
        total = left = 0
        for c, chain in enumerate(chains):
            if done[c] == len(chain):
                continue
            left += 1
            if all(done[other] > number for other, number in needs[chain[done[c]]]):
                total += ways((*done[:c], done[c] + 1, *done[c + 1 :]))
        return total if left else 1

    return ways((0,) * len(chains))
