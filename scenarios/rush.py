"""Twice as many people as tickets press the button in the same moment.

The story's own test: many users, one ticket type, everybody at once. Exactly as many may succeed as there
were tickets; the others must be told that it is sold out.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 20) -> Scenario:
    """Half as many tickets as buyers, and one each."""
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    return Scenario(
        tickets=(TicketType(name="general", initial=max(1, buyers // 2)),),
        phases=(
            Phase(
                "rush",
                tuple(Program(person, (Reserve(ticket="general", person=person),)) for person in people),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )
