"""Load the ticket type, change what remains, count its version up, and save it.

There is a version column, and it grows with every save; the library does that when it is told to. The save
finds the row by its id alone, so a version that has grown in between keeps nobody from saving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class VersionNotChecked(Shop):
    """See the module."""

    name = "version_not_checked"
    constraints = ONE_PER_PERSON + "ALTER TABLE tickets ADD version integer NOT NULL DEFAULT 0;"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Load; change; save."""
        async with db.transaction():
            loaded = await db.fetchrow(
                "SELECT quantity_available, version FROM tickets WHERE id = $1", ticket.id
            )
            if loaded["quantity_available"] < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute(
                "UPDATE tickets SET quantity_available = $2, version = $3 WHERE id = $1",
                ticket.id,
                loaded["quantity_available"] - operation.quantity,
                loaded["version"] + 1,
            )
            return answer


SPECIMEN = Specimen(
    name="version_not_checked",
    doc=__doc__ or "",
    target=VersionNotChecked(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "Fowler, Patterns of Enterprise Application Architecture, Optimistic Offline Lock: the "
            "version belongs into the WHERE clause"
        ),
    ),
)
