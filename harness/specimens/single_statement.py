"""Decrement and insert in one statement, the insert fed by the rows that the decrement returns.

A guarded UPDATE in a WITH clause takes the unit or returns nothing; the INSERT inserts what was returned.
There is no moment between the two that others could see or a lost client could leave half done. It waits at
the ticket's row, where the guard is looked at again; a second RSVP of one person fails at its key, and the
decrement fails with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve


class SingleStatement(Shop):
    """See the module."""

    name = "single_statement"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take and insert."""
        rsvp = await db.fetchval(
            "WITH taken AS ("
            "  UPDATE tickets SET quantity_available = quantity_available - $3::integer"
            "  WHERE id = $1 AND quantity_available >= $3::integer RETURNING id, event_id"
            ") INSERT INTO rsvps (event_id, ticket_id, user_id, quantity)"
            " SELECT event_id, id, $2, $3::integer FROM taken RETURNING id",
            ticket.id,
            operation.person,
            operation.quantity,
        )
        return SOLD_OUT if rsvp is None else Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(name="single_statement", doc=__doc__ or "", target=SingleStatement())
