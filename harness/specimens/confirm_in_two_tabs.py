"""Find the hold; then write the RSVP and delete the hold, both or neither.

Deleting the hold is meant to keep it from being used twice. But it is found before and deleted last: a
second tab that asks in between finds it as well, and one hold makes two RSVPs. Deleting what is gone already
is no error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, ONE_HOLD_PER_PERSON, BoxOffice, find_hold
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class ConfirmInTwoTabs(BoxOffice):
    """See the module."""

    name = "confirm_in_two_tabs"
    supports = HOLDING
    constraints = ONE_HOLD_PER_PERSON

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Find; write and delete."""
        quantity = await find_hold(db, operation)
        if quantity is None:
            return NO_SUCH_HOLD
        async with db.transaction():
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            await db.execute("DELETE FROM holds WHERE id = $1", int(operation.hold or 0))
        return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="confirm_in_two_tabs",
    doc=__doc__ or "",
    target=ConfirmInTwoTabs(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="confirm_twice",
        engine="explore",
        source="race of a one-time token with itself: CWE-367",
    ),
)
