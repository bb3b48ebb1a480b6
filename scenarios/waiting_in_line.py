"""Sold out; people join the line, one by one and at once; then some cancel while newcomers grab.

What comes back belongs to whoever waits longest. A newcomer who happens to ask in that moment must be told
that it is sold out, and nobody in the line may be passed over.
"""

from harness.model import Cancel, JoinWaitlist, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """A quarter each hold, wait from the beginning, wait from later on, and come new."""
    quarter = max(1, buyers // 4)
    holders = [f"holder-{number + 1}" for number in range(quarter)]
    # Those who come first come last in the alphabet: an order by name is not the order of a line.
    early = [f"patient-{number + 1}" for number in reversed(range(quarter))]
    later = [f"late-{number + 1}" for number in range(max(2, quarter))]
    newcomers = [f"newcomer-{number + 1}" for number in range(quarter)]
    cancels = tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in holders)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("sell out", tuple(_reserve(name) for name in holders)),
            Phase("join one by one", (Program("line", tuple(_join(name) for name in early)),)),
            Phase("join at once", tuple(Program(name, (_join(name),)) for name in later)),
            Phase("cancel and grab", cancels + tuple(_reserve(name) for name in newcomers)),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )


def _join(name: str) -> JoinWaitlist:
    return JoinWaitlist(ticket="general", person=name)


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
