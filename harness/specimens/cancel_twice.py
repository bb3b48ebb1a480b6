"""Cancel an RSVP and give its unit back, whatever state the RSVP is in.

Setting a status to what it is already changes nothing, so cancelling twice looks harmless. Incrementing
twice is not: a double click on "cancel" puts a unit on sale that does not exist. No race is needed.
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


class CancelTwice(GuardedShop):
    """See the module."""

    name = "cancel_twice"

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Mark and give back."""
        async with db.transaction():
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'cancelled' WHERE id = $1 AND user_id = $2 RETURNING quantity",
                int(operation.reservation or 0),
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await give_back(db, ticket, quantity)
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="cancel_twice",
    doc=__doc__ or "",
    target=CancelTwice(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="cancel_races_reserve",
        engine="burst",
        source="the story: 'increment_ticket_quantity' of the published fix, called once for every cancel",
    ),
)
