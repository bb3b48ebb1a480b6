"""One person buys two ticket types of one event at the same time, from two tabs.

One reservation for one person and event is a rule of the event. Who keeps it ticket type by ticket type, with
a lock or a check on the ticket type's own row, lets both tabs through.
"""

from harness.model import Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Half as many people as buyers, each with a tab for either type; there is enough of both."""
    people = [f"eager-{number + 1}" for number in range(max(1, buyers // 2))]
    return Scenario(
        tickets=(
            TicketType(name="general", initial=len(people)),
            TicketType(name="balcony", initial=len(people)),
        ),
        phases=(
            Phase(
                "both tabs",
                tuple(
                    Program(f"{person}-{ticket}", (Reserve(ticket=ticket, person=person),))
                    for person in people
                    for ticket in ("general", "balcony")
                ),
            ),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
