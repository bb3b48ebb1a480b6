"""Lock the RSVPs of the ticket type with FOR UPDATE, count them, and insert one more.

There is no counter to lock, so the rows that are counted are locked: nobody can change them. Nobody has to.
What is to be kept out is the row that is not there yet, and a row lock locks no gap. With no RSVP yet it
locks nothing at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class LocksRowsThereAre(ShopOfRows):
    """See the module."""

    name = "locks_rows_there_are"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock what is there, count it, insert."""
        async with db.transaction():
            rows = await db.fetch(
                "SELECT quantity FROM rsvps WHERE ticket_id = $1 AND status = 'confirmed' FOR UPDATE",
                ticket.id,
            )
            initial = await db.fetchval("SELECT quantity_initial FROM tickets WHERE id = $1", ticket.id)
            if sum(row["quantity"] for row in rows) + operation.quantity > initial:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="locks_rows_there_are",
    doc=__doc__ or "",
    target=LocksRowsThereAre(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="phantom: Gray et al. 1976, Granularity of Locks; no gap locks in PostgreSQL",
    ),
)
