"""Cancel by the number of the RSVP, whoever asks.

The number is in the link of the mail, and who has the link is the buyer. But numbers are given out one after
the other, so whoever has one knows the others too. Everything else about this cancel is right: it gives back
once, and only what stands. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Cancel
    from harness.specimens._statements import Ticket


class CancelByNumber(BoxOffice):
    """See the module."""

    name = "cancel_by_number"
    supports = SELLING

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Turn the row and give back."""
        rsvp = int(operation.reservation or 0)
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'cancelled' WHERE id = $1 AND status = 'confirmed'"
                " RETURNING quantity",
                rsvp,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="cancel_by_number",
    doc=__doc__ or "",
    target=CancelByNumber(),
    mistake=Mistake(
        laws=frozenset({"only_owners_cancel"}),
        scenario="somebody_elses_cancel",
        engine="burst",
        source="authorization bypass through a user-controlled key: CWE-639",
    ),
)
