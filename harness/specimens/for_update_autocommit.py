"""SELECT … FOR UPDATE, but in no transaction.

The lock is there, the code review is content, and the lock is gone when the statement ends, since a
statement outside a transaction is a transaction of its own. What follows runs as if nobody had locked
anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class ForUpdateAutocommit(Shop):
    """See the module."""

    name = "for_update_autocommit"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, look, write."""
        available = await db.fetchval(
            "SELECT quantity_available FROM tickets WHERE id = $1 FOR UPDATE", ticket.id
        )
        if available < operation.quantity:
            return SOLD_OUT
        answer = await insert_rsvp(db, ticket, operation)
        await db.execute(
            "UPDATE tickets SET quantity_available = $2 WHERE id = $1",
            ticket.id,
            available - operation.quantity,
        )
        return answer


SPECIMEN = Specimen(
    name="for_update_autocommit",
    doc=__doc__ or "",
    target=ForUpdateAutocommit(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, 13.3.2 Row-Level Locks: held until the transaction ends",
    ),
)
