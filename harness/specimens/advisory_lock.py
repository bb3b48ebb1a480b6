"""An advisory lock, taken first and held until the transaction has ended; then look, count and insert.

pg_advisory_xact_lock is let go of by the commit itself, so whoever gets it next sees what was committed.
The level is READ COMMITTED, so that every statement after the lock sees the present. It is keyed by the
event, whose rule of one RSVP for each person it guards too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Specimen
from harness.specimens._statements import (
    CLOSED,
    DUPLICATE,
    SOLD_OUT,
    Ticket,
    count_left,
    has_rsvp,
    insert_rsvp,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class AdvisoryLock(ShopOfRows):
    """See the module."""

    name = "advisory_lock"
    supports = ShopOfRows.supports | {Feature.DEADLINE}

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, then decide at leisure."""
        async with db.transaction(isolation="read_committed"):
            await db.execute("SELECT pg_advisory_xact_lock($1)", ticket.event_id)
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if await db.fetchval("SELECT closed FROM tickets WHERE id = $1", ticket.id):
                return CLOSED
            if await count_left(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(name="advisory_lock", doc=__doc__ or "", target=AdvisoryLock())
