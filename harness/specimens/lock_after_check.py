"""Look whether some are left, then lock the row, then write what was computed before.

The lock keeps two from writing at once, and comes too late for what was read: whoever waited for it holds a
number that is no longer true, and does not read it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp, read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class LockAfterCheck(Shop):
    """See the module."""

    name = "lock_after_check"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, lock, write."""
        async with db.transaction():
            available = await read_counter(db, ticket)
            if available < operation.quantity:
                return SOLD_OUT
            await db.execute("SELECT FROM tickets WHERE id = $1 FOR UPDATE", ticket.id)
            await db.execute(
                "UPDATE tickets SET quantity_available = $2 WHERE id = $1",
                ticket.id,
                available - operation.quantity,
            )
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="lock_after_check",
    doc=__doc__ or "",
    target=LockAfterCheck(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="time of check, time of use: CWE-367",
    ),
)
