"""The payment provider gets a key for each RSVP, so it pays once; everything else follows without a look.

The money is safe, whatever happens, and so nobody thought of the ticket. Two clicks both find the RSVP
confirmed, both pay, of which one counts, and both give its unit back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import REFUNDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Refund
    from harness.specimens._statements import Ticket


class RefundCreditsTwice(BoxOffice):
    """See the module."""

    name = "refund_credits_twice"
    supports = REFUNDING
    constraints = BoxOffice.constraints + "CREATE UNIQUE INDEX paid_back_once ON refunds (rsvp_id);"

    async def refund(self, db: asyncpg.Connection, ticket: Ticket, operation: Refund) -> Answer:
        """Look; pay, with a key; take back."""
        rsvp = int(operation.reservation or 0)
        quantity = await db.fetchval(
            "SELECT quantity FROM rsvps WHERE id = $1 AND user_id = $2 AND status = 'confirmed'",
            rsvp,
            operation.person,
        )
        if quantity is None:
            return NO_SUCH_RSVP
        async with self.transaction(db, ticket):
            await db.execute(
                "INSERT INTO refunds (ticket_id, rsvp_id, user_id, quantity) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (rsvp_id) DO NOTHING",
                ticket.id,
                rsvp,
                operation.person,
                quantity,
            )
            await db.execute("UPDATE rsvps SET status = 'refunded' WHERE id = $1", rsvp)
            await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="refund_credits_twice",
    doc=__doc__ or "",
    target=RefundCreditsTwice(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="refund_twice",
        engine="explore",
        source=(
            "an idempotency key that covers one of two effects: Helland, Life beyond Distributed "
            "Transactions, CIDR 2007"
        ),
    ),
)
