"""Lock the ticket with FOR SHARE, look, then decrement.

"It only has to stay as it is while I look", so the weaker lock was taken. Both buyers get it, since it is
shared; then both want to write, and each waits for the other to let go. Nothing is oversold: Postgres ends
one of them after a second, with an error, although there may be tickets for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class ShareLock(Shop):
    """See the module."""

    name = "share_lock"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock a little, look, write."""
        async with db.transaction():
            available = await db.fetchval(
                "SELECT quantity_available FROM tickets WHERE id = $1 FOR SHARE", ticket.id
            )
            if available < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(
    name="share_lock",
    doc=__doc__ or "",
    target=ShareLock(),
    mistake=Mistake(
        laws=frozenset({"no_deadlock"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, 13.3.4 Deadlocks: take the strongest mode that will be needed first",
    ),
)
