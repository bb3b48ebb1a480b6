"""Two friends whom everybody names as members of their group, in this order or in that.

There is stock for everybody, so that nothing but the rule of one RSVP per person and event stands in the
way. Only one of the groups can have them, and the others get nothing at all, not even the places of those
who are free. Whoever locks the members in the order in which they are named locks each other out.
"""

from harness.model import Outcome, Phase, Program, ReserveGroup, Scenario, TicketType

_WANTED = ("ada", "bob")


def scenario(buyers: int = 6) -> Scenario:
    """Groups of three: who asks, and the two whom everybody wants to have along."""
    groups = []
    for number in range(buyers):
        person = f"organizer-{number + 1}"
        named = (person, *_WANTED)
        members = named[::-1] if number % 2 else named
        groups.append(Program(person, (ReserveGroup(ticket="general", person=person, members=members),)))
    return Scenario(
        tickets=(TicketType(name="general", initial=3 * buyers),),
        phases=(Phase("rush", tuple(groups)),),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.DUPLICATE}),
    )
