"""Load the ticket type, and save it where its version is still the same; what came of that is not looked at.

The update is just as the book has it. When somebody else was faster it changes no row, which is no error to
the database, only a number that comes back; and the RSVP was inserted already.
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


class VersionIgnored(Shop):
    """See the module."""

    name = "version_ignored"
    constraints = ONE_PER_PERSON + "ALTER TABLE tickets ADD version integer NOT NULL DEFAULT 0;"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Load; change; save, if it is still the same."""
        async with db.transaction():
            loaded = await db.fetchrow(
                "SELECT quantity_available, version FROM tickets WHERE id = $1", ticket.id
            )
            if loaded["quantity_available"] < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute(
                "UPDATE tickets SET quantity_available = quantity_available - $3, version = version + 1"
                " WHERE id = $1 AND version = $2",
                ticket.id,
                loaded["version"],
                operation.quantity,
            )
            return answer


SPECIMEN = Specimen(
    name="version_ignored",
    doc=__doc__ or "",
    target=VersionIgnored(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="unchecked return value: CWE-252",
    ),
)
