"""Insert the RSVP, then lock the ticket with FOR UPDATE and look whether it was there to be had.

Insert first, so that a second RSVP of the same person fails at once; then lock, and roll back if none is
left. Each step is good advice. But the foreign key of the RSVP has locked the ticket's row already, a
little, against being deleted (FOR KEY SHARE). Two buyers hold that lock together, and FOR UPDATE waits
until the other one lets go. FOR NO KEY UPDATE would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class ForeignKeyDeadlock(Shop):
    """See the module."""

    name = "foreign_key_deadlock"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, lock, look, write."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            available = await db.fetchval(
                "SELECT quantity_available FROM tickets WHERE id = $1 FOR UPDATE", ticket.id
            )
            if available < operation.quantity:
                raise NoneLeftError
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(
    name="foreign_key_deadlock",
    doc=__doc__ or "",
    target=ForeignKeyDeadlock(),
    mistake=Mistake(
        laws=frozenset({"no_deadlock"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, 13.3.2 Row-Level Locks: FOR KEY SHARE conflicts with FOR UPDATE",
    ),
)
