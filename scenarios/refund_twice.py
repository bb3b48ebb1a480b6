"""A reservation is refunded from two tabs at once, and newcomers grab for the ticket.

The money goes back once, and so does the ticket, also when the second request was sent before the first was
answered.
"""

from harness.model import Outcome, Phase, Program, Refund, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half of the buyers hold all there is and want their money back, the others are newcomers."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    newcomers = [f"newcomer-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    refunds = tuple(
        Program(f"{name}-tab-{tab}", (Refund(ticket="general", person=name),))
        for name in holders
        for tab in (1, 2)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase("sell out", tuple(_reserve(name) for name in holders)),
            Phase("refund and grab", refunds + tuple(_reserve(name) for name in newcomers)),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )


def _reserve(name: str) -> Program:
    return Program(name, (Reserve(ticket="general", person=name),))
