"""Look whether it was refunded, have the provider pay, then take the ticket back.

Payment comes first, because it can fail, and the ticket is taken back by whoever turns the row, once. The
money is not: two clicks both find an RSVP that was not refunded yet, and the provider pays both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import REFUNDING, BoxOffice, pay_back
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Refund
    from harness.specimens._statements import Ticket


class RefundPaidTwice(BoxOffice):
    """See the module."""

    name = "refund_paid_twice"
    supports = REFUNDING

    async def refund(self, db: asyncpg.Connection, ticket: Ticket, operation: Refund) -> Answer:
        """Look; pay; take back."""
        rsvp = int(operation.reservation or 0)
        quantity = await db.fetchval(
            "SELECT quantity FROM rsvps WHERE id = $1 AND user_id = $2 AND status = 'confirmed'",
            rsvp,
            operation.person,
        )
        if quantity is None:
            return NO_SUCH_RSVP
        await pay_back(db, ticket, rsvp, operation.person, quantity)
        async with self.transaction(db, ticket):
            turned = await db.fetchval(
                "UPDATE rsvps SET status = 'refunded' WHERE id = $1 AND status = 'confirmed' RETURNING id",
                rsvp,
            )
            if turned is not None:
                await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="refund_paid_twice",
    doc=__doc__ or "",
    target=RefundPaidTwice(),
    mistake=Mistake(
        laws=frozenset({"refunded_once"}),
        scenario="refund_twice",
        engine="explore",
        source="Hyperswitch, issue 13182: concurrent refunds can exceed the captured amount",
    ),
)
