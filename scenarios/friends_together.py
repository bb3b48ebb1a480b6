"""Pairs of friends book together while others buy alone, and the stock cannot be divided by two.

A pair gets both places or none. Whoever takes them one by one, or as many as there are, leaves somebody
without their friend, or places that nobody has and nobody can buy.
"""

from harness.model import Outcome, Phase, Program, Reserve, ReserveGroup, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Enough for half of the pairs, and one place more; a quarter as many buy alone."""
    pairs = tuple(
        Program(
            f"organizer-{number + 1}",
            (
                ReserveGroup(
                    ticket="general",
                    person=f"organizer-{number + 1}",
                    members=(f"organizer-{number + 1}", f"friend-{number + 1}"),
                ),
            ),
        )
        for number in range(buyers)
    )
    singles = tuple(
        Program(f"single-{number + 1}", (Reserve(ticket="general", person=f"single-{number + 1}"),))
        for number in range(max(1, buyers // 4))
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=2 * max(1, buyers // 2) + 1),),
        phases=(Phase("rush", pairs + singles),),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.SOLD_OUT}),
    )
