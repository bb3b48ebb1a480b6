"""Sold out, and people wait in line; the organizer finds more places, and newcomers grab for them.

They belong to those who wait, in their order; more wait than there are new places, so that no newcomer can
get one.
"""

from harness.model import (
    ChangeCapacity,
    JoinWaitlist,
    Outcome,
    Phase,
    Program,
    Reserve,
    Scenario,
    TicketType,
)


def scenario(buyers: int = 8) -> Scenario:
    """A quarter hold tickets; as many places come, at least two, and one more waits; the rest come new."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 4))]
    more = max(2, len(holders))
    # The first in line is the last in the alphabet: an order by name is not the order of a line.
    line = [f"waiter-{number + 1}" for number in reversed(range(more + 1))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - 2 * len(holders)))]
    raised = ChangeCapacity(ticket="general", person="organizer", capacity=len(holders) + more)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("sell out", tuple(_reserve(name) for name in holders)),
            Phase(
                "wait",
                (Program("line", tuple(JoinWaitlist(ticket="general", person=name) for name in line)),),
            ),
            Phase(
                "raise and grab",
                (Program("organizer", (raised,)), *(_reserve(name) for name in newcomers)),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
