"""The time of a hold runs out while its owner pays, and newcomers grab for what may come back.

Either the payment came in time, and the ticket is sold, or it came too late, and somebody else may have it.
A check of the time that is a step of its own sells it to both.
"""

from harness.model import Confirm, Expire, Hold, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half of the buyers hold all there is, the others are newcomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    races = tuple(
        program
        for name in holders
        for program in (
            Program(name, (Confirm(ticket="general", person=name),)),
            Program(f"clock-of-{name}", (Expire(ticket="general", person=name),)),
        )
    )
    grabs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in newcomers)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("hold", tuple(Program(name, (Hold(ticket="general", person=name),)) for name in holders)),
            Phase("pay while the time runs out", races + grabs),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
