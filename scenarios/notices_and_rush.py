"""A rush, cancels amid newcomers, and then people look at what the last notice said.

Notices are sent so that nobody has to ask. They may overtake nothing: the last one that arrived must say how
many remain now, else a page goes on offering what is gone, or hides what came back.
"""

from harness.model import Cancel, Outcome, Phase, Program, ReadNotice, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half of the buyers hold all but one; half of them cancel, and the other half come new."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    leaving = holders[: max(1, len(holders) // 2)]
    newcomers = [f"newcomer-{number + 1}" for number in range(len(holders))]
    onlookers = [f"onlooker-{number + 1}" for number in range(len(holders))]
    cancels = tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in leaving)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders) + 1),),
        phases=(
            Phase("rush", tuple(_reserve(name) for name in holders)),
            Phase("cancel and grab", cancels + tuple(_reserve(name) for name in newcomers)),
            Phase(
                "what was said",
                tuple(Program(name, (ReadNotice(ticket="general", person=name),)) for name in onlookers),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
