"""One person presses the button in several tabs at once, while others buy too.

There is stock for everybody, so that nothing but the rule of one RSVP per person and event stands in the
way. A check for an existing RSVP that is a step of its own lets the same person in more than once.
"""

from harness.model import Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """All but two of the clients are the same person."""
    others = [f"buyer-{number + 1}" for number in range(min(2, max(0, buyers - 2)))]
    tabs = tuple(
        Program(f"tab-{number + 1}", (Reserve(ticket="general", person="eager"),))
        for number in range(buyers - len(others))
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=buyers),),
        phases=(
            Phase(
                "tabs",
                tabs + tuple(Program(name, (Reserve(ticket="general", person=name),)) for name in others),
            ),
        ),
    )
