"""Some give their tickets back in the moment in which others grab for them, and every cancel is sent twice.

The event is sold out before. A newcomer may get a ticket or be told that it is sold out, depending on who
came first; but a second cancel of the same RSVP gives nothing back, and nobody gets a ticket that was not
there.
"""

from harness.model import Cancel, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 12) -> Scenario:
    """A third holds tickets and cancels, from two tabs each; the rest are newcomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 3))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    cancels = tuple(
        Program(f"{name}-tab-{tab}", (Cancel(ticket="general", person=name),))
        for name in holders
        for tab in (1, 2)
    )
    grabs = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in newcomers)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase(
                "sell out",
                tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in holders),
            ),
            Phase("cancel and grab", cancels + grabs),
        ),
    )
