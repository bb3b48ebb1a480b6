"""Places are set aside for buyers who pay, and the organizer wants to have them for something else.

What is held is promised: there may never be less to sell than is sold and held together. Who counts only what
is sold lowers the capacity under those who are about to confirm.
"""

from harness.model import ChangeCapacity, Confirm, Hold, Outcome, Phase, Program, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Everything is held; then the holders confirm while the organizer asks for all places but one."""
    people = [f"buyer-{number + 1}" for number in range(max(2, buyers))]
    lowered = ChangeCapacity(ticket="general", person="organizer", capacity=1)
    holds = tuple(Program(name, (Hold(ticket="general", person=name),)) for name in people)
    confirms = tuple(Program(name, (Confirm(ticket="general", person=name),)) for name in people)
    return Scenario(
        tickets=(TicketType(name="general", initial=len(people)),),
        phases=(
            Phase("hold", holds),
            Phase("confirm and lower", (*confirms, Program("organizer", (lowered,)))),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )
