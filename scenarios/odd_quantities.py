"""Somebody asks for none, somebody for fewer than none, before they buy one as everybody does.

The form offers no such number, but a request is not bound to the form. Each of these is no purchase at all
and must be refused; a negative one that is served gives back what was never bought.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType

_ASKS = ((1,), (-1, 1), (0, 1))


def scenario(buyers: int = 6) -> Scenario:
    """A third buys one, a third asks for -1 before, and a third for 0; there is stock for all."""
    programs = []
    for number in range(buyers):
        person = f"buyer-{number + 1}"
        asks = tuple(
            Reserve(ticket="general", person=person, quantity=quantity) for quantity in _ASKS[number % 3]
        )
        programs.append(Program(person, asks))
    return Scenario(
        tickets=(TicketType(name="general", initial=buyers),),
        phases=(Phase("rush", tuple(programs)),),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )
