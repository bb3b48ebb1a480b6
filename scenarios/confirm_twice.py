"""Everybody pays for what they hold in two tabs at once.

One hold makes one reservation, however often the button is pressed. There is more stock than is held, so
that nothing but the hold itself stands in the way of a second one.
"""

from harness.model import Confirm, Hold, Outcome, Phase, Program, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half of the buyers, with two tabs each, and twice as many tickets as they hold."""
    people = [f"buyer-{number + 1}" for number in range(max(1, buyers // 2))]
    tabs = tuple(
        Program(f"{name}-tab-{tab}", (Confirm(ticket="general", person=name),))
        for name in people
        for tab in (1, 2)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=2 * len(people)),),
        phases=(
            Phase("hold", tuple(Program(name, (Hold(ticket="general", person=name),)) for name in people)),
            Phase("pay twice", tabs),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
