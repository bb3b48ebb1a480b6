"""Look whether the hold is still good, have the buyer pay, and then turn it into an RSVP.

Payment takes its time and has to come before the RSVP, so the look is a step of its own. In between the hold
runs out, the clean-up gives its unit back, and somebody else has it. The buyer has paid, and what is written
down then is written down without another look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, BoxOffice, find_hold
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class ConfirmLooksFirst(BoxOffice):
    """See the module."""

    name = "confirm_looks_first"
    supports = HOLDING

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Look; pay; write."""
        quantity = await find_hold(db, operation)
        if quantity is None:
            return NO_SUCH_HOLD
        async with self.transaction(db, ticket):
            await db.execute("UPDATE holds SET status = 'confirmed' WHERE id = $1", int(operation.hold or 0))
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
        return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="confirm_looks_first",
    doc=__doc__ or "",
    target=ConfirmLooksFirst(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="hold_expires_while_confirming",
        engine="explore",
        source="events-made-easy, issue 496: paid for when the hold was over and the event full",
    ),
)
