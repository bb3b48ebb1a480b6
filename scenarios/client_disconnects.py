"""Every second buyer goes away in the middle of the RSVP: the tab is closed, the train enters a tunnel.

Whatever became of their requests, the books must be whole afterwards: each of them has a ticket and one
unit is gone, or has none and nothing is missing. There is stock for a few of the others only, so that a
unit lost on the way would be missed.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 12) -> Scenario:
    """Three quarters as many tickets as buyers, and at least one more than there are buyers who leave."""
    return Scenario(
        tickets=(TicketType(name="general", initial=max(buyers // 2 + 1, buyers * 3 // 4)),),
        phases=(
            Phase(
                "rush",
                tuple(
                    Program(
                        f"buyer-{number + 1}",
                        (
                            Reserve(
                                ticket="general",
                                person=f"buyer-{number + 1}",
                                disconnects=number % 2 == 1,
                            ),
                        ),
                    )
                    for number in range(buyers)
                ),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.UNKNOWN}),
    )
