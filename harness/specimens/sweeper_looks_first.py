"""The clean-up lists what has run out, and then marks what is on its list and gives it back.

A payment that comes late is honoured as long as nobody has cleaned up; that is kind, and right. But between
its list and its marks the clean-up does not look again: whatever was confirmed in the meantime is marked as
expired all the same, and its unit is on sale once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, Returned, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class SweeperLooksFirst(BoxOffice):
    """See the module."""

    name = "sweeper_looks_first"
    supports = HOLDING

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Turn a hold that is still there into an RSVP, even if its time is over."""
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE holds SET status = 'confirmed' WHERE id = $1 AND user_id = $2 AND status = 'held'"
                " RETURNING quantity",
                int(operation.hold or 0),
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_HOLD
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            return Answer(Outcome.ACCEPTED, reservation=str(rsvp))

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """List; mark; give back."""
        over = await db.fetch(
            "SELECT id, quantity FROM holds WHERE ticket_id = $1 AND status = 'held' AND expires_at <= now()",
            ticket.id,
        )
        if over:
            async with self.transaction(db, ticket):
                await db.execute(
                    "UPDATE holds SET status = 'expired' WHERE id = ANY ($1::bigint[])",
                    [hold["id"] for hold in over],
                )
                await self.restock(db, Returned(ticket, sum(hold["quantity"] for hold in over)))
        return DONE


SPECIMEN = Specimen(
    name="sweeper_looks_first",
    doc=__doc__ or "",
    target=SweeperLooksFirst(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="hold_expires_while_confirming",
        engine="explore",
        source="hoangdaochuz/booking, issue 31: reservation expiry races with payment success",
    ),
)
