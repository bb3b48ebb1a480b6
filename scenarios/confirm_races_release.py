"""One tab pays for what is held, another gives the same hold up, and newcomers grab for it.

Only one of the two tabs can have its way. Else the ticket is sold to the one who paid and on sale again as
well.
"""

from harness.model import Confirm, Hold, Outcome, Phase, Program, Release, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half of the buyers hold all there is, the others are newcomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    tabs = tuple(
        program
        for name in holders
        for program in (
            Program(f"{name}-pays", (Confirm(ticket="general", person=name),)),
            Program(f"{name}-gives-up", (Release(ticket="general", person=name),)),
        )
    )
    grabs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in newcomers)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("hold", tuple(Program(name, (Hold(ticket="general", person=name),)) for name in holders)),
            Phase("pay, give up and grab", tabs + grabs),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
