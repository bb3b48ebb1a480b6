"""Optimistic locking: write if the version is still the one that was read, else answer "sold out".

The version check is right, and nothing is ever oversold. But a conflict means that somebody else bought
something at the same time, not that nothing is left. In a rush most buyers are turned away from a hall that
stays half empty, and no audit of the books shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class VersionConflictSoldOut(Shop):
    """See the module."""

    name = "version_conflict_sold_out"
    constraints = "ALTER TABLE tickets ADD version integer NOT NULL DEFAULT 0;" + ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Read, write if nobody else has, and ask no further."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            row = await db.fetchrow(
                "SELECT quantity_available, version FROM tickets WHERE id = $1", ticket.id
            )
            if row["quantity_available"] < operation.quantity:
                raise NoneLeftError
            written = await db.fetchval(
                "UPDATE tickets SET quantity_available = $3, version = version + 1"
                " WHERE id = $1 AND version = $2 RETURNING id",
                ticket.id,
                row["version"],
                row["quantity_available"] - operation.quantity,
            )
            if written is None:
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="version_conflict_sold_out",
    doc=__doc__ or "",
    target=VersionConflictSoldOut(),
    mistake=Mistake(
        laws=frozenset({"no_refusal_while_stock_remained"}),
        scenario="enough_for_everybody",
        engine="explore",
        source=(
            "Fowler, Patterns of Enterprise Application Architecture, Optimistic Offline Lock: a "
            "conflict is to be tried again"
        ),
    ),
)
