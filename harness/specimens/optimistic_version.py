"""Optimistic locking: write if the version is still the one that was read, and read again if it is not.

A conflict says that somebody else has written, so the number is read anew and everything is decided anew.
Every conflict is another buyer's success, so it ends; and "sold out" is only said of a number that was
read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Returned, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class OptimisticVersion(Shop):
    """See the module."""

    name = "optimistic_version"
    constraints = "ALTER TABLE tickets ADD version integer NOT NULL DEFAULT 0;" + ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then read and write until nobody came between."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            while not await self._written(db, ticket, operation):
                pass
            return answer

    async def _written(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> bool:
        row = await db.fetchrow("SELECT quantity_available, version FROM tickets WHERE id = $1", ticket.id)
        if row["quantity_available"] < operation.quantity:
            raise NoneLeftError
        written = await db.fetchval(
            "UPDATE tickets SET quantity_available = $3, version = version + 1"
            " WHERE id = $1 AND version = $2 RETURNING id",
            ticket.id,
            row["version"],
            row["quantity_available"] - operation.quantity,
        )
        return written is not None

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Give back, and say that the number has changed."""
        await db.execute(
            "UPDATE tickets SET quantity_available = quantity_available + $2, version = version + 1"
            " WHERE id = $1",
            returned.ticket.id,
            returned.quantity,
        )


SPECIMEN = Specimen(name="optimistic_version", doc=__doc__ or "", target=OptimisticVersion())
