"""A cancel ends the person's RSVP for the event, and gives back to the ticket type that the page names.

One person has one RSVP for an event, so person and event seem to name it. But the page may be an old one.
Who has changed from the floor to the balcony since, and cancels the floor once more in another tab, loses
the balcony ticket; and the unit is given back to the floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_RSVP, Ticket, give_back

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Cancel


class CancelByEvent(GuardedShop):
    """See the module."""

    name = "cancel_by_event"

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """End whatever the person has for the event."""
        async with db.transaction():
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'cancelled'"
                " WHERE event_id = $1 AND user_id = $2 AND status = 'confirmed' RETURNING quantity",
                ticket.event_id,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await give_back(db, ticket, quantity)
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)


SPECIMEN = Specimen(
    name="cancel_by_event",
    doc=__doc__ or "",
    target=CancelByEvent(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once", "no_leak", "no_oversell"}),
        scenario="stale_cancel",
        engine="burst",
        source="acting on a key of the request instead of the object's own: CWE-639",
    ),
)
