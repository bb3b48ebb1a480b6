"""A place in the line is an RSVP that waits; what comes back moves the first up, in the same transaction.

One statement moves up as many as have room, the ones with the lowest numbers; the numbers were given while
the ticket type was locked, so they are in the order of joining. A newcomer sees something on sale only when
nobody waits. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, NOT_IN_LINE, SOMETHING_REMAINS, WAITING, BoxOffice
from harness.specimens._specimen import Specimen
from harness.specimens._statements import give_back, read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, JoinWaitlist, LeaveWaitlist
    from harness.specimens._statements import Ticket


class WaitingLine(BoxOffice):
    """See the module."""

    name = "waiting_line"
    supports = WAITING | {Feature.CAPACITY}
    constraints = """
        CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id)
        WHERE status IN ('confirmed', 'waiting');
    """
    line = "rsvps w WHERE w.ticket_id = t.id AND w.status = 'waiting'"

    async def join(self, db: asyncpg.Connection, ticket: Ticket, operation: JoinWaitlist) -> Answer:
        """Write an RSVP that waits, when nothing remains; the key says whether there is one already."""
        async with self.transaction(db, ticket):
            if await read_counter(db, ticket) > 0:
                return SOMETHING_REMAINS
            await db.execute(
                "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity, status)"
                " VALUES ($1, $2, $3, 1, 'waiting')",
                ticket.event_id,
                ticket.id,
                operation.person,
            )
        return DONE

    async def leave(self, db: asyncpg.Connection, ticket: Ticket, operation: LeaveWaitlist) -> Answer:
        """Strike off the RSVP that waits, if it still does."""
        async with self.transaction(db, ticket):
            left = await db.fetchval(
                "DELETE FROM rsvps WHERE ticket_id = $1 AND user_id = $2 AND status = 'waiting' RETURNING id",
                ticket.id,
                operation.person,
            )
        return NOT_IN_LINE if left is None else DONE

    async def serve_line(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Move up as many as have room."""
        moved = await db.fetch(
            "UPDATE rsvps SET status = 'confirmed' WHERE id IN ("
            " SELECT id FROM rsvps WHERE ticket_id = $1 AND status = 'waiting' ORDER BY id LIMIT $2"
            ") RETURNING id",
            ticket.id,
            await read_counter(db, ticket),
        )
        await give_back(db, ticket, -len(moved))


SPECIMEN = Specimen(name="waiting_line", doc=__doc__ or "", target=WaitingLine())
