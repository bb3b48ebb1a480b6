"""The decrement is guarded and atomic, and names the event instead of the ticket type.

With one ticket type for each event, as in the test data, it is the same. With three, one sale takes one of
each; and what decides whether there is one left is whether any type has one. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class DecrementWholeEvent(Shop):
    """See the module."""

    name = "decrement_whole_event"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take by the event's id; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            taken = await db.fetchval(
                "UPDATE tickets SET quantity_available = quantity_available - $2"
                " WHERE event_id = $1 AND quantity_available >= $2 RETURNING id",
                ticket.event_id,
                operation.quantity,
            )
            if taken is None:
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="decrement_whole_event",
    doc=__doc__ or "",
    target=DecrementWholeEvent(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="several_ticket_types",
        engine="burst",
        source="a WHERE clause that names the parent instead of the row",
    ),
)
