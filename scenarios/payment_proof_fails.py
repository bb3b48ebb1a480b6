"""A payment proof belongs to the purchase, and for some buyers its upload fails.

A third upload a proper file, a third one that must be refused, and for a third the connection breaks
half-way. Only the first may end up with a ticket, and nothing may be taken for the others, not even for a
moment: there are just enough tickets for those whose proof is good.
"""

from harness.model import Outcome, Phase, Program, Proof, Reserve, Scenario, TicketType

_PROOFS = (Proof.GOOD, Proof.REFUSED, Proof.CUT)


def scenario(buyers: int = 12) -> Scenario:
    """As many tickets as there are good proofs."""
    programs = tuple(
        Program(
            f"buyer-{number + 1}",
            (Reserve(ticket="general", person=f"buyer-{number + 1}", proof=_PROOFS[number % 3]),),
        )
        for number in range(buyers)
    )
    return Scenario(
        tickets=(TicketType(name="general", initial=(buyers + 2) // 3),),
        phases=(Phase("rush", programs),),
        reaches=frozenset({Outcome.ACCEPTED, Outcome.INVALID}),
    )
