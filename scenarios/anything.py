"""A little of everything: two ticket types of one event and one of another, and whatever people do.

Its own programs only buy, so that every target can be driven through it. Engines that draw programs of their
own may use every operation that the target supports: holds that run out while somebody cancels, a line that
waits for a capacity, and combinations that nobody thought of.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType

_TICKETS = (
    TicketType(name="floor", initial=2, event="evening"),
    TicketType(name="balcony", initial=1, event="evening"),
    TicketType(name="matinee", initial=1, event="afternoon"),
)


def scenario(buyers: int = 6) -> Scenario:
    """Everybody tries two types, one after the other."""
    programs = []
    for number in range(buyers):
        person = f"buyer-{number + 1}"
        wants = (_TICKETS[number % 3], _TICKETS[(number + 1) % 3])
        programs.append(
            Program(person, tuple(Reserve(ticket=ticket.name, person=person) for ticket in wants))
        )
    return Scenario(
        tickets=_TICKETS,
        phases=(Phase("rush", tuple(programs)),),
        reaches=frozenset({Outcome.ACCEPTED}),
        free=True,
    )
