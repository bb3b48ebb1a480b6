"""One guarded UPDATE decides about stock and deadline, and a CHECK constraint stands behind it.

UPDATE … WHERE quantity_available >= n waits for whoever is at the row, and then looks at what that one has
committed: READ COMMITTED evaluates the condition again. Deadline and stock are decided in the same
statement; why nothing was updated is asked afterwards, when it changes nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import CLOSED, ONE_PER_PERSON, SOLD_OUT, NoneLeftError, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class GuardedUpdate(Shop):
    """See the module."""

    name = "guarded_update"
    supports = Shop.supports | {Feature.DEADLINE}
    constraints = "ALTER TABLE tickets ADD CHECK (quantity_available >= 0);" + ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take if it may be had; both or neither."""
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                taken = await db.fetchval(
                    "UPDATE tickets SET quantity_available = quantity_available - $2"
                    " WHERE id = $1 AND quantity_available >= $2 AND NOT closed RETURNING id",
                    ticket.id,
                    operation.quantity,
                )
                if taken is None:
                    raise NoneLeftError
                return answer
        except NoneLeftError:
            closed = await db.fetchval("SELECT closed FROM tickets WHERE id = $1", ticket.id)
            return CLOSED if closed else SOLD_OUT


SPECIMEN = Specimen(name="guarded_update", doc=__doc__ or "", target=GuardedUpdate())
