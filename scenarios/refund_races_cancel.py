"""One tab asks for the money back, another cancels the same reservation, and newcomers grab for the ticket.

Both give the ticket back, and together they must give it back once. Whether the money goes back depends on
who came first.
"""

from harness.model import Cancel, Outcome, Phase, Program, Refund, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half of the buyers hold all there is, the others are newcomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    tabs = tuple(
        program
        for name in holders
        for program in (
            Program(f"{name}-refunds", (Refund(ticket="general", person=name),)),
            Program(f"{name}-cancels", (Cancel(ticket="general", person=name),)),
        )
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("sell out", tuple(_reserve(name) for name in holders)),
            Phase("refund, cancel and grab", tabs + tuple(_reserve(name) for name in newcomers)),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
