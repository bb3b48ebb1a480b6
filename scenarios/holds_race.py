"""Everybody wants one of the last few set aside; then some pay, and others give theirs up and try again.

Nothing may be held that is not there, what is given up comes back once, and a payment turns what was held
into a reservation without anybody getting in between.
"""

from harness.model import Confirm, Hold, Outcome, Phase, Program, Release, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Half as many tickets as buyers; every second one pays."""
    people = [f"buyer-{number + 1}" for number in range(buyers)]
    return Scenario(
        tickets=(TicketType(name="general", initial=max(1, buyers // 2)),),
        phases=(
            Phase("hold", tuple(Program(name, (Hold(ticket="general", person=name),)) for name in people)),
            Phase(
                "pay, or give up and try again",
                tuple(Program(name, _go_on(name, pays=not place % 2)) for place, name in enumerate(people)),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )


def _go_on(name: str, *, pays: bool) -> tuple[Confirm] | tuple[Release, Reserve]:
    if pays:
        return (Confirm(ticket="general", person=name),)
    return Release(ticket="general", person=name), Reserve(ticket="general", person=name)
