"""Somebody looks at the sales statistics while people buy and cancel, and again when all is quiet.

What they say must have been true at some moment while they were asked, and at the end they agree with the
reservations that stand.
"""

from harness.model import Cancel, Outcome, Phase, Program, ReadSales, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half of the buyers hold all there is and half of them cancel; the others come new."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    cancels = tuple(
        Program(name, (Cancel(ticket="general", person=name),))
        for name in holders[: max(1, len(holders) // 2)]
    )
    look = Program("organizer", (ReadSales(ticket="general", person="organizer"),))
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("rush", (*(_reserve(name) for name in holders), look)),
            Phase("cancel and grab", (*cancels, *(_reserve(name) for name in newcomers), look)),
            Phase("look back", (look,)),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
