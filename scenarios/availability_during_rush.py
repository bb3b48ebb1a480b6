"""People look twice at how many remain while others buy.

A number that is shown must have been true at some moment while it was asked for: never more than there were,
never fewer than none, and not more at the second look than at the first, since nobody gives anything back.
"""

from harness.model import Outcome, Phase, Program, ReadAvailability, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half as many tickets as buyers, and one looking on for every two of them."""
    buying = tuple(
        Program(f"buyer-{number + 1}", (Reserve(ticket="general", person=f"buyer-{number + 1}"),))
        for number in range(buyers)
    )
    looking = tuple(
        Program(
            f"onlooker-{number + 1}",
            2 * (ReadAvailability(ticket="general", person=f"onlooker-{number + 1}"),),
        )
        for number in range(max(1, buyers // 2))
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=max(1, buyers // 2)),),
        phases=(Phase("rush", buying + looking),),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )
