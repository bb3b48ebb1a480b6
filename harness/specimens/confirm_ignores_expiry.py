"""A hold is confirmed by its number, whatever has become of it.

The page of the payment provider sends the buyer back with the number of the hold, and who has paid gets
their RSVP. How long they were away is not asked, nor whether their hold has been given back and sold since.
No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class ConfirmIgnoresExpiry(BoxOffice):
    """See the module."""

    name = "confirm_ignores_expiry"
    supports = HOLDING

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Turn the hold into an RSVP."""
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE holds SET status = 'confirmed' WHERE id = $1 AND user_id = $2 RETURNING quantity",
                int(operation.hold or 0),
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_HOLD
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="confirm_ignores_expiry",
    doc=__doc__ or "",
    target=ConfirmIgnoresExpiry(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="expired_holds_resell",
        engine="burst",
        source="insufficient session expiration: CWE-613",
    ),
)
