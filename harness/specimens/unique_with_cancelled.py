"""A unique key on event and person, over all RSVPs there have ever been.

It keeps everybody from having two, and it also keeps from coming back whoever has cancelled: the row is
still there, for the records. They are told that they have an RSVP, which they have not. No race is needed.
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


class UniqueWithCancelled(Shop):
    """See the module."""

    name = "unique_with_cancelled"
    constraints = "CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id);"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="unique_with_cancelled",
    doc=__doc__ or "",
    target=UniqueWithCancelled(),
    mistake=Mistake(
        laws=frozenset({"linearizable"}),
        scenario="stale_cancel",
        engine="burst",
        source=(
            "soft deletion under a unique key that does not know of it: PostgreSQL manual, 11.8 Partial "
            "Indexes"
        ),
    ),
)
