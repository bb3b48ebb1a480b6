"""People change to another ticket type, and then an old tab cancels the first RSVP once more.

That RSVP is gone already, so the old tab can change nothing, whether it is told so or not. It must not take
away the ticket that the person has now, nor put one of the first type on sale that nobody gave back.
"""

from harness.model import Cancel, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 6) -> Scenario:
    """Everybody moves from the floor to the balcony; both types have a place for each."""
    people = [f"mover-{number + 1}" for number in range(buyers)]
    floor = tuple(Program(person, (Reserve(ticket="floor", person=person),)) for person in people)
    cancels = tuple(Program(person, (Cancel(ticket="floor", person=person),)) for person in people)
    balcony = tuple(Program(person, (Reserve(ticket="balcony", person=person),)) for person in people)
    return Scenario(
        tickets=(
            TicketType(name="floor", initial=buyers),
            TicketType(name="balcony", initial=buyers),
        ),
        phases=(
            Phase("buy", floor),
            Phase("cancel", cancels),
            Phase("buy the other", balcony),
            Phase("cancel again", cancels),
        ),
        reaches=frozenset({Outcome.ACCEPTED}),
    )
