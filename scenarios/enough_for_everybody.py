"""There is a ticket for everybody who comes, and all come at once.

Nobody may be told that it is sold out, however busy it is. A crowd is no reason to refuse: somebody who was
turned away from a half-empty hall does not come back, and no audit of the books ever shows it.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """As many tickets as buyers."""
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    return Scenario(
        tickets=(TicketType(name="general", initial=buyers),),
        phases=(
            Phase(
                "rush",
                tuple(Program(person, (Reserve(ticket="general", person=person),)) for person in people),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
