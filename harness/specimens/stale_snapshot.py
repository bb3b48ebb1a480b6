"""An advisory transaction lock, taken first and held until the commit, in a REPEATABLE READ transaction.

The lock is right, its place is right, and the stronger isolation level can only help. It does not: a
REPEATABLE READ transaction sees the database as it was when its first statement began, and the first
statement is the one that waits for the lock. Who waited is let in and looks at the world from before the
wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class StaleSnapshot(ShopOfRows):
    """See the module."""

    name = "stale_snapshot"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, count, insert."""
        async with db.transaction(isolation="repeatable_read"):
            await db.execute("SELECT pg_advisory_xact_lock($1)", ticket.id)
            if await count_left(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="stale_snapshot",
    doc=__doc__ or "",
    target=StaleSnapshot(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.4.2 Enforcing Consistency with Explicit Blocking Locks: the "
            "snapshot may predate the lock"
        ),
    ),
)
