"""A refund pays the price back and marks the RSVP; the unit stays where it is.

Refunds were made for evenings that were called off, when there was nothing to sell any more. Now people ask
for one before the evening, and with each of them there is one ticket less. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import REFUNDING, BoxOffice, pay_back
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Refund
    from harness.specimens._statements import Ticket


class RefundKeepsTicket(BoxOffice):
    """See the module."""

    name = "refund_keeps_ticket"
    supports = REFUNDING

    async def refund(self, db: asyncpg.Connection, ticket: Ticket, operation: Refund) -> Answer:
        """Mark and pay back."""
        rsvp = int(operation.reservation or 0)
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'refunded'"
                " WHERE id = $1 AND user_id = $2 AND status = 'confirmed' RETURNING quantity",
                rsvp,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await pay_back(db, ticket, rsvp, operation.person, quantity)
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="refund_keeps_ticket",
    doc=__doc__ or "",
    target=RefundKeepsTicket(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="refund_twice",
        engine="burst",
        source="Hi.Events, issue 466: cancelling an order does not free the capacity",
    ),
)
