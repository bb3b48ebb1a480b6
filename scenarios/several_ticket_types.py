"""One event, three ticket types, and a crowd that spreads over them.

Each type has stock of its own. Some people try a second type of the same event when they have one already:
they must not get both.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType

_KINDS = ("early", "regular", "vip")


def scenario(buyers: int = 18) -> Scenario:
    """A third of the buyers for each type, half as many tickets as that."""
    stock = max(1, buyers // 6)
    programs = []
    for number in range(buyers):
        person, kind = f"buyer-{number + 1}", _KINDS[number % 3]
        wants = [Reserve(ticket=kind, person=person)]
        if number % 5 == 0:
            wants.append(Reserve(ticket=_KINDS[(number + 1) % 3], person=person))
        programs.append(Program(person, tuple(wants)))
    return Scenario(
        tickets=tuple(TicketType(name=kind, initial=stock) for kind in _KINDS),
        phases=(Phase("rush", tuple(programs)),),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
