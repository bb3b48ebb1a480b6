"""A stranger who has seen their ids cancels what others hold, while some of these cancel themselves.

To know an id is not to own it. The stranger must be refused, before the owner cancels, at that moment and
afterwards, and those who keep their tickets must keep them.
"""

from harness.model import Cancel, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Everybody holds a ticket, and every second one cancels."""
    people = [f"holder-{number + 1}" for number in range(buyers)]
    stranger = Program(
        "stranger", tuple(Cancel(ticket="general", person="stranger", whose=name) for name in people)
    )
    cancels = tuple(Program(name, (Cancel(ticket="general", person=name),)) for name in people[::2])
    return Scenario(
        tickets=(TicketType(name="general", initial=buyers),),
        phases=(
            Phase("buy", tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in people)),
            Phase("cancel", (stranger, *cancels)),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )
