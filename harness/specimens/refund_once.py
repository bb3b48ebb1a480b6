"""The record of a refund comes first, and a unique key makes it the only one for its RSVP.

Whoever gets the record in has the right to pay back and to take the ticket back; whoever does not is told
that it is done. A cancel that was there first leaves nothing to refund, and the record is undone. All of
them lock the ticket type first: without that, one waits for the RSVP that the other has turned, and the
other for the ticket type. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import REFUNDING, BoxOffice
from harness.specimens._specimen import Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Refund
    from harness.specimens._statements import Ticket


class RefundOnce(BoxOffice):
    """See the module."""

    name = "refund_once"
    supports = REFUNDING
    constraints = BoxOffice.constraints + "CREATE UNIQUE INDEX paid_back_once ON refunds (rsvp_id);"

    async def refund(self, db: asyncpg.Connection, ticket: Ticket, operation: Refund) -> Answer:
        """Record, which pays; take back; all or nothing."""
        rsvp = int(operation.reservation or 0)
        done = Answer(Outcome.ACCEPTED, reservation=operation.reservation)
        async with self.transaction(db, ticket):
            recorded = await db.fetchval(
                "INSERT INTO refunds (ticket_id, rsvp_id, user_id, quantity)"
                " SELECT ticket_id, id, user_id, quantity FROM rsvps"
                " WHERE id = $1 AND ticket_id = $2 AND user_id = $3"
                " ON CONFLICT (rsvp_id) DO NOTHING RETURNING quantity",
                rsvp,
                ticket.id,
                operation.person,
            )
            if recorded is None:
                paid = await db.fetchval("SELECT id FROM refunds WHERE rsvp_id = $1", rsvp)
                return NO_SUCH_RSVP if paid is None else done
            turned = await db.fetchval(
                "UPDATE rsvps SET status = 'refunded' WHERE id = $1 AND status = 'confirmed' RETURNING id",
                rsvp,
            )
            if turned is not None:
                await self.restock(db, Returned(ticket, recorded, rsvp))
                return done
            await db.execute("DELETE FROM refunds WHERE rsvp_id = $1", rsvp)
            return NO_SUCH_RSVP


SPECIMEN = Specimen(name="refund_once", doc=__doc__ or "", target=RefundOnce())
