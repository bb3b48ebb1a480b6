"""Lock the ticket type that is asked for, then the other ones of the event, and look at all of them.

The one that is wanted comes first, since it decides most cases; the others are locked for the check that
the event still has room and that the person has no other RSVP. So two buyers of two types lock the same
rows in opposite order, and each waits for the other. In a test with one ticket type it never happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import (
    DUPLICATE,
    ONE_PER_PERSON,
    SOLD_OUT,
    Ticket,
    give_back,
    has_rsvp,
    insert_rsvp,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class LocksAskedFirst(Shop):
    """See the module."""

    name = "locks_asked_first"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock mine, lock the others, decide."""
        async with db.transaction():
            available = await db.fetchval(
                "SELECT quantity_available FROM tickets WHERE id = $1 FOR UPDATE", ticket.id
            )
            others = await db.fetch(
                "SELECT quantity_available FROM tickets WHERE event_id = $1 AND id <> $2 FOR UPDATE",
                ticket.event_id,
                ticket.id,
            )
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            room = available + sum(row["quantity_available"] for row in others)
            if min(available, room) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(
    name="locks_asked_first",
    doc=__doc__ or "",
    target=LocksAskedFirst(),
    mistake=Mistake(
        laws=frozenset({"no_deadlock"}),
        scenario="several_ticket_types",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.3.4 Deadlocks: acquire locks on multiple objects in a consistent order"
        ),
    ),
)
