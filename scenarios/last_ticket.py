"""One ticket is left, and everybody wants it.

The smallest stock that can be oversold, and the case in which a check and a decrement that are two steps
go wrong most often.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """One ticket for all of them."""
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    return Scenario(
        tickets=(TicketType(name="last", initial=1),),
        phases=(
            Phase(
                "grab",
                tuple(Program(person, (Reserve(ticket="last", person=person),)) for person in people),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )
