"""INSERT … ON CONFLICT DO UPDATE, so that a second RSVP of the same person is no error.

The upsert saves a look and the handling of an error, and there is one row for each person, always. But the
second RSVP writes over the first, of another ticket type perhaps, whose unit nobody gives back. Each is
confirmed, and one of them is not there any more. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve


class Upsert(Shop):
    """See the module."""

    name = "upsert"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Write the RSVP, whatever was there; then take."""
        async with db.transaction():
            rsvp = await db.fetchval(
                "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT (event_id, user_id) WHERE status = 'confirmed'"
                " DO UPDATE SET ticket_id = excluded.ticket_id, quantity = excluded.quantity"
                " RETURNING id",
                ticket.event_id,
                ticket.id,
                operation.person,
                operation.quantity,
            )
            if not await take(db, ticket, operation):
                raise NoneLeftError
        return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="upsert",
    doc=__doc__ or "",
    target=Upsert(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once", "no_leak"}),
        scenario="several_ticket_types",
        engine="explore",
        source="last writer wins: an upsert where an insert was meant",
    ),
)
