"""A hold is an RSVP that is not confirmed yet: one row, which is held, then confirmed or given up.

One unique key covers both, so nobody has a hold and an RSVP beside each other; confirming changes one word
in one row, and so does expiring, each only where the other has not been. There is no second table that could
disagree. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, BoxOffice
from harness.specimens._specimen import Specimen
from harness.specimens._statements import NO_SUCH_HOLD, SOLD_OUT, insert_rsvp, take, take_units

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm, Hold, Reserve
    from harness.specimens._statements import Ticket


class HoldAsStatus(BoxOffice):
    """See the module."""

    name = "hold_as_status"
    supports = HOLDING
    constraints = """
        ALTER TABLE rsvps ADD expires_at timestamptz;
        CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id)
        WHERE status IN ('confirmed', 'held');
    """
    holds = "rsvps"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take and insert; the key says whether there is one already."""
        async with self.transaction(db, ticket):
            if not await take(db, ticket, operation):
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)

    async def hold(self, db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
        """Take and insert, with a time."""
        async with self.transaction(db, ticket):
            if not await take_units(db, ticket, operation.quantity):
                return SOLD_OUT
            hold = await db.fetchval(
                "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity, status, expires_at)"
                " VALUES ($1, $2, $3, $4, 'held', now() + interval '10 minutes') RETURNING id",
                ticket.event_id,
                ticket.id,
                operation.person,
                operation.quantity,
            )
        return Answer(Outcome.ACCEPTED, reservation=str(hold))

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Change the word, while the time is not over."""
        confirmed = await db.fetchval(
            "UPDATE rsvps SET status = 'confirmed' WHERE id = $1 AND ticket_id = $2 AND user_id = $3"
            " AND status = 'held' AND expires_at > clock_timestamp() RETURNING id",
            int(operation.hold or 0),
            ticket.id,
            operation.person,
        )
        if confirmed is None:
            return NO_SUCH_HOLD
        return Answer(Outcome.ACCEPTED, reservation=str(confirmed))


SPECIMEN = Specimen(name="hold_as_status", doc=__doc__ or "", target=HoldAsStatus())
