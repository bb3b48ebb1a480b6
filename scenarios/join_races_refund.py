"""Sold out; people join the line in the very moment in which somebody is paid back.

A refund gives a ticket back as a cancel does, and so it belongs to whoever waits. Where only the way by which
one cancels serves the line, somebody waits for a ticket that is on sale.
"""

from harness.model import JoinWaitlist, Outcome, Phase, Program, Refund, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half of the buyers hold all there is and are paid back, while the others join the line."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    line = [f"waiter-{number + 1}" for number in reversed(range(max(1, buyers - len(holders))))]
    buys = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in holders)
    refunds = tuple(Program(name, (Refund(ticket="general", person=name),)) for name in holders)
    joins = tuple(Program(name, (JoinWaitlist(ticket="general", person=name),)) for name in line)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(Phase("sell out", buys), Phase("refund and join", refunds + joins)),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
