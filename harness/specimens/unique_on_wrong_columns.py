"""One RSVP for a person, as a unique key: on person and ticket type.

The database keeps the promise that it was given, but the rule is about the event. Who takes a floor ticket
and then a balcony ticket has two for the same evening. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NoneLeftError, Ticket, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class UniqueOnWrongColumns(Shop):
    """See the module."""

    name = "unique_on_wrong_columns"
    constraints = """
        CREATE UNIQUE INDEX one_per_ticket ON rsvps (ticket_id, user_id) WHERE status = 'confirmed';
    """

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="unique_on_wrong_columns",
    doc=__doc__ or "",
    target=UniqueOnWrongColumns(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="several_ticket_types",
        engine="explore",
        source="the key does not say what the rule says",
    ),
)
