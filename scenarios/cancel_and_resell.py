"""Sold out, then some cancel, then what they gave back is sold again, each time with more takers than stock.

Stock must come back exactly once for every cancelled RSVP, and no more people may hold a ticket at the end
than there were tickets at the beginning.
"""

from harness.model import Cancel, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 12) -> Scenario:
    """A third of the buyers are sold out to, half of those cancel, and the others try again."""
    stock = max(1, buyers // 3)
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    first, late = people[:stock], people[stock:]
    leaving = first[: max(1, stock // 2)]
    return Scenario(
        tickets=(TicketType(name="general", initial=stock),),
        phases=(
            Phase("sell out", tuple(Program(name, (_reserve(name),)) for name in first)),
            Phase("turned away", tuple(Program(name, (_reserve(name),)) for name in late)),
            Phase(
                "cancel", tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in leaving)
            ),
            Phase("resell", tuple(Program(name, (_reserve(name),)) for name in late)),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )


def _reserve(name: str) -> Reserve:
    return Reserve(ticket="general", person=name)
