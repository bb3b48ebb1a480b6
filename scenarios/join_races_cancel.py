"""Sold out; people join the line in the very moment in which somebody cancels.

Whoever joins in time gets what comes back; whoever comes too late is told that something remains, or gets it
at once. What must not be is somebody who waits for a ticket that is on sale.
"""

from harness.model import Cancel, JoinWaitlist, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half of the buyers hold all there is and cancel, while the others join the line."""
    holders = [f"holder-{number + 1}" for number in range(max(1, buyers // 2))]
    line = [f"waiter-{number + 1}" for number in range(max(1, buyers - len(holders)))]
    buys = tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in holders)
    cancels = tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in holders)
    joins = tuple(Program(name, (JoinWaitlist(ticket="general", person=name),)) for name in line)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(Phase("sell out", buys), Phase("cancel and join", cancels + joins)),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
