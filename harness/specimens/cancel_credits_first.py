"""A cancel looks whether the RSVP stands, gives the unit back, and then marks the RSVP: in that order.

All of it is one transaction, and a second cancel that comes later is refused. One that comes at the same
time has looked already: it waits for the ticket's row, gives a second unit back, and marks what is marked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Ticket, give_back

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Cancel


class CancelCreditsFirst(GuardedShop):
    """See the module."""

    name = "cancel_credits_first"

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Look, give back, mark."""
        rsvp = int(operation.reservation or 0)
        async with db.transaction():
            quantity = await db.fetchval(
                "SELECT quantity FROM rsvps"
                " WHERE id = $1 AND ticket_id = $2 AND user_id = $3 AND status = 'confirmed'",
                rsvp,
                ticket.id,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await give_back(db, ticket, quantity)
            await db.execute("UPDATE rsvps SET status = 'cancelled' WHERE id = $1", rsvp)
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="cancel_credits_first",
    doc=__doc__ or "",
    target=CancelCreditsFirst(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="cancel_races_reserve",
        engine="explore",
        source="check-then-act, as for double refunds: CWE-367",
    ),
)
