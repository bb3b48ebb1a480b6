"""Lock the ticket's row, then look and write at leisure, all in one transaction.

SELECT … FOR UPDATE makes buyers of one ticket type wait for each other, so that what was read is still true
when it is written. Right, as long as everything is done before the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import DUPLICATE, ONE_PER_PERSON, SOLD_OUT, Ticket, has_rsvp, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class ForUpdate(Shop):
    """See the module."""

    name = "for_update"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock every ticket type of the event, in one order, then decide."""
        async with db.transaction():
            rows = await db.fetch(
                "SELECT id, quantity_available FROM tickets WHERE event_id = $1 ORDER BY id FOR UPDATE",
                ticket.event_id,
            )
            available = {row["id"]: row["quantity_available"] for row in rows}[ticket.id]
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if available < operation.quantity:
                return SOLD_OUT
            await db.execute(
                "UPDATE tickets SET quantity_available = $2 WHERE id = $1",
                ticket.id,
                available - operation.quantity,
            )
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(name="for_update", doc=__doc__ or "", target=ForUpdate())
