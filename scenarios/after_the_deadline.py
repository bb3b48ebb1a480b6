"""The sale of one ticket type has ended; people try all the same, beside buyers of one that is open.

There is stock left of both. Nobody may get a ticket whose deadline has passed.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Every second buyer comes too late."""
    return Scenario(
        tickets=(
            TicketType(name="open", initial=buyers),
            TicketType(name="closed", initial=buyers, closed=True),
        ),
        phases=(
            Phase(
                "rush",
                tuple(
                    Program(
                        f"buyer-{number + 1}",
                        (Reserve(ticket=("open", "closed")[number % 2], person=f"buyer-{number + 1}"),),
                    )
                    for number in range(buyers)
                ),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )
