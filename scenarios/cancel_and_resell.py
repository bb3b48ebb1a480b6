"""Sold out, then some cancel, then what they gave back is sold again, each time with more takers than stock.

Stock must come back exactly once for every cancelled RSVP, and no more people may hold a ticket at the end
than there were tickets at the beginning.
"""

from harness.model import Cancel, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half as many tickets as latecomers; half of the first holders cancel, and all latecomers try again."""
    stock = max(1, buyers // 2)
    first = [f"holder-{number + 1}" for number in range(stock)]
    late = [f"latecomer-{number + 1}" for number in range(buyers)]
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
