"""Check that some are left, insert the RSVP, and never decrement anything.

The system the story began with. Everybody is let in for ever, since the number that is checked does not
change: a hundred people can take ten tickets, one after another, without any race at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, Ticket, has_rsvp, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class Naive(Shop):
    """See the module."""

    name = "naive"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, then insert."""
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        available = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
        if available < operation.quantity:
            return SOLD_OUT
        return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="naive",
    doc=__doc__ or "",
    target=Naive(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="burst",
        source="the story: 'Original Problematic Flow'",
    ),
)
