"""One person has a ticket set aside and pays for it in one tab, and buys one outright in another.

There is stock for everybody, so that nothing but the rule of one RSVP per person and event stands in the
way. It has to be kept when the hold becomes a reservation too, not only when somebody asks anew.
"""

from harness.model import Confirm, Hold, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half of the buyers, with two tabs each."""
    people = [f"buyer-{number + 1}" for number in range(max(1, buyers // 2))]
    tabs = tuple(
        program
        for name in people
        for program in (
            Program(f"{name}-holds", (Hold(ticket="general", person=name),)),
            Program(f"{name}-buys", (Reserve(ticket="general", person=name),)),
        )
    )
    pays = tuple(Program(name, (Confirm(ticket="general", person=name),)) for name in people)
    return Scenario(
        tickets=(TicketType(name="general", initial=2 * len(people)),),
        phases=(Phase("hold and buy", tabs), Phase("pay for the hold", pays)),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
