"""Sold out; the organizer finds more places, presses the button twice, and everybody grabs for them.

As many more are sold as there are more places, and not that number twice.
"""

from harness.model import ChangeCapacity, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """A quarter hold tickets, as many places come, and twice as many newcomers and more want them."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 4))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(2, buyers - len(holders)))]
    raises = tuple(
        Program(
            f"organizer-tab-{tab}",
            (ChangeCapacity(ticket="general", person="organizer", capacity=2 * len(holders)),),
        )
        for tab in (1, 2)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("sell out", tuple(_reserve(name) for name in holders)),
            Phase("raise and grab", raises + tuple(_reserve(name) for name in newcomers)),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
