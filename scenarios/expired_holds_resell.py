"""Everything is held, the time runs out, it is sold to others, and then the first want to pay.

Two clean-ups run at once, as they do with two servers, and what ran out must come back once all the same. A
payment that comes after that must fail: the ticket belongs to somebody else.
"""

from harness.model import Confirm, Expire, Hold, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half as many tickets as latecomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    latecomers = [f"latecomer-{number + 1}" for number in range(buyers)]
    holds = tuple(Program(name, (Hold(ticket="general", person=name),)) for name in holders)
    clocks = tuple(
        Program(f"clean-up-{server}-of-{name}", (Expire(ticket="general", person=name),))
        for name in holders
        for server in (1, 2)
    )
    grabs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in latecomers)
    late = tuple(Program(name, (Confirm(ticket="general", person=name),)) for name in holders)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("hold", holds),
            Phase("turned away", grabs[:1]),
            Phase("the time runs out", clocks),
            Phase("resell, and pay too late", grabs + late),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT, Outcome.INVALID}),
    )
