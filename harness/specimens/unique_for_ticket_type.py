"""One RSVP for one person, kept by a unique index: on the ticket type, where the rule is about the event.

The index is right for a shop with one ticket type for each event, and nobody touches it when the second one
comes. No race is needed: who has a general ticket gets one for the balcony too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NoneLeftError, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class UniqueForTicketType(Shop):
    """See the module."""

    name = "unique_for_ticket_type"
    constraints = """
        CREATE UNIQUE INDEX one_per_person ON rsvps (ticket_id, user_id) WHERE status = 'confirmed';
    """

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="unique_for_ticket_type",
    doc=__doc__ or "",
    target=UniqueForTicketType(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="same_person_two_types",
        engine="burst",
        source="the story: an RSVP belongs to an event, and a ticket type was added to the request later",
    ),
)
