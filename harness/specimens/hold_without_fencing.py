"""A hold is a lease of a place; confirming looks whether it is good, has the buyer pay, and writes the RSVP.

The lease had ten minutes left, or ten seconds. While the payment was under way it ran out, and somebody else
took the place over, as they should. The write names the place and not the lease, so it succeeds, and the
place has two owners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._places import PlacesOffice, lease_of
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class HoldWithoutFencing(PlacesOffice):
    """See the module."""

    name = "hold_without_fencing"

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Look; pay; write."""
        place, _ = lease_of(operation.hold)
        mine = await db.fetchval(
            "SELECT id FROM places WHERE id = $1 AND holder = $2 AND rsvp_id IS NULL AND held_until > now()",
            place,
            operation.person,
        )
        if mine is None:
            return NO_SUCH_HOLD
        async with db.transaction():
            rsvp = await write_rsvp(db, ticket, operation.person)
            await db.execute("UPDATE places SET rsvp_id = $2 WHERE id = $1", place, rsvp)
        return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="hold_without_fencing",
    doc=__doc__ or "",
    target=HoldWithoutFencing(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="hold_expires_while_confirming",
        engine="explore",
        source="Kleppmann, How to do distributed locking, 2016: a lock with a time-out needs a fencing token",
    ),
)
