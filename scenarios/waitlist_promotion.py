"""Several cancel at once, and the first in line stops waiting in that very moment.

Each ticket that comes back goes to one of those who still wait, the first in line first: not twice to one of
them, not to somebody who has left, and not to nobody.
"""

from harness.model import (
    Cancel,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    Phase,
    Program,
    Reserve,
    Scenario,
    TicketType,
)


def scenario(buyers: int = 6) -> Scenario:
    """A third, at least two, hold tickets and cancel; one more than that wait, and the first leaves."""
    holders = [f"holder-{number + 1}" for number in range(max(2, buyers // 3))]
    # The first in line is the last in the alphabet: an order by name is not the order of a line.
    line = [f"waiter-{number + 1}" for number in reversed(range(len(holders) + 1))]
    cancels = tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in holders)
    leave = Program(line[0], (LeaveWaitlist(ticket="general", person=line[0]),))
    return Scenario(
        tickets=(TicketType(name="general", initial=len(holders)),),
        phases=(
            Phase(
                "sell out",
                tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in holders),
            ),
            Phase(
                "wait",
                (Program("line", tuple(JoinWaitlist(ticket="general", person=name) for name in line)),),
            ),
            Phase("cancel and leave", (*cancels, leave)),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
