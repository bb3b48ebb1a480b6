"""Everybody buys for three, and the stock cannot be divided by three.

A group gets all its seats or none. Who takes seats one by one, or as many as there are, leaves half a group
behind, or seats that nobody has and nobody can buy.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Enough for half of the groups, and one seat more."""
    people = [f"organizer-{number + 1}" for number in range(buyers)]
    return Scenario(
        tickets=(TicketType(name="general", initial=3 * max(1, buyers // 2) + 1),),
        phases=(
            Phase(
                "rush",
                tuple(
                    Program(person, (Reserve(ticket="general", person=person, quantity=3),))
                    for person in people
                ),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )
