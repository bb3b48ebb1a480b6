"""Insert the RSVP in one statement, on condition that fewer are there than the quantity.

It is one statement, so it is taken for atomic. It is, in that it happens wholly or not at all; but what it
counts is its snapshot, which does not hold what others have inserted and not yet committed. Nothing waits,
and both conditions are true. It is rarely seen in a test, because the two must overlap within one
statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve


class GuardedInsert(ShopOfRows):
    """See the module."""

    name = "guarded_insert"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert if there is room."""
        rsvp = await db.fetchval(
            "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity)"
            " SELECT t.event_id, t.id, $2, $3::integer FROM tickets t"
            " WHERE t.id = $1 AND $3::integer + ("
            "  SELECT coalesce(sum(r.quantity), 0) FROM rsvps r"
            "  WHERE r.ticket_id = t.id AND r.status = 'confirmed'"
            " ) <= t.quantity_initial"
            " RETURNING id",
            ticket.id,
            operation.person,
            operation.quantity,
        )
        return SOLD_OUT if rsvp is None else Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="guarded_insert",
    doc=__doc__ or "",
    target=GuardedInsert(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.2.1 Read Committed: a statement sees what was committed before it began"
        ),
    ),
)
