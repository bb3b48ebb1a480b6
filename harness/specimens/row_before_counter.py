"""The RSVP is committed first, the counter is decremented after; if none is left, the RSVP is deleted again.

In the end everything adds up, so a look at the books afterwards finds nothing. On the way it does not: for
a moment more people hold a ticket than there are tickets. Whoever reads then prints a badge, sends a mail,
or admits somebody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class RowBeforeCounter(Shop):
    """See the module."""

    name = "row_before_counter"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; take; delete what was too much."""
        answer = await insert_rsvp(db, ticket, operation)
        if not await take(db, ticket, operation):
            await db.execute("DELETE FROM rsvps WHERE id = $1", int(answer.reservation or 0))
            return SOLD_OUT
        return answer


SPECIMEN = Specimen(
    name="row_before_counter",
    doc=__doc__ or "",
    target=RowBeforeCounter(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="burst",
        source="compensation shows what it undoes: Garcia-Molina and Salem, Sagas, SIGMOD 1987",
    ),
)
