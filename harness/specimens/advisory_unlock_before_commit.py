"""An advisory lock around check and write, let go of at the end of the block, before the transaction commits.

The lock is taken first and released in a finally clause, as one does. But it is the inner block: the next
buyer gets the lock, and reads, before the COMMIT of this one has made anything visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class AdvisoryUnlockBeforeCommit(ShopOfRows):
    """See the module."""

    name = "advisory_unlock_before_commit"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, count, insert, unlock; commit."""
        async with db.transaction():
            await db.execute("SELECT pg_advisory_lock($1)", ticket.id)
            try:
                if await count_left(db, ticket) < operation.quantity:
                    return SOLD_OUT
                return await insert_rsvp(db, ticket, operation)
            finally:
                await _unlock(db, ticket)


async def _unlock(db: asyncpg.Connection, ticket: Ticket) -> None:
    await db.execute("SELECT pg_advisory_unlock($1)", ticket.id)


SPECIMEN = Specimen(
    name="advisory_unlock_before_commit",
    doc=__doc__ or "",
    target=AdvisoryUnlockBeforeCommit(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, 13.3.5 Advisory Locks: session-level locks do not honour transactions",
    ),
)
