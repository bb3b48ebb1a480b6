"""The organizer needs places for something else while people buy, and then two organizers decide at once.

There may never be less to sell than is sold already, whoever came first, and what remains is always what
there is now without what is sold. A number computed before somebody bought brings their place back.
"""

from harness.model import ChangeCapacity, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """A place for everybody, of which one is to go; then one organizer wants one more and one two."""
    buying = tuple(
        Program(f"buyer-{number + 1}", (Reserve(ticket="general", person=f"buyer-{number + 1}"),))
        for number in range(buyers)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=buyers),),
        phases=(
            Phase("lower while they buy", (*buying, _change("organizer", buyers - 1))),
            Phase("below what is sold", (_change("organizer", 0),)),
            Phase("two decide", (_change("organizer", buyers + 1), _change("other-organizer", buyers + 2))),
        ),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )


def _change(name: str, capacity: int) -> Program:
    return Program(name, (ChangeCapacity(ticket="general", person=name, capacity=capacity),))
