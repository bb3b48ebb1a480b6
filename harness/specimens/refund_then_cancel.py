"""A refund takes the ticket back and pays its price back; a cancel takes back whatever is not cancelled.

Both are guarded, each by its own state. But a refunded RSVP is one that is not cancelled: cancel it, and its
unit is given back once more. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import REFUNDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Cancel
    from harness.specimens._statements import Ticket


class RefundThenCancel(BoxOffice):
    """See the module."""

    name = "refund_then_cancel"
    supports = REFUNDING

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Turn the row if it is not cancelled, and give back."""
        rsvp = int(operation.reservation or 0)
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'cancelled'"
                " WHERE id = $1 AND ticket_id = $2 AND user_id = $3 AND status <> 'cancelled'"
                " RETURNING quantity",
                rsvp,
                ticket.id,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="refund_then_cancel",
    doc=__doc__ or "",
    target=RefundThenCancel(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="refund_races_cancel",
        engine="burst",
        source=(
            "a state added to an enumeration that other code compares with: CWE-372, incomplete "
            "internal state distinction"
        ),
    ),
)
