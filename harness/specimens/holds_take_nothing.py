"""A hold is a note with a name and a time; the counter moves when it is paid for.

Holding asks whether any are left, and they are, since holding takes nothing: the last ticket is set aside
for everybody who asks. What is held is in neither number. Whoever pays has been promised it, so the counter
is decremented without a guard. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, BoxOffice, end_hold, insert_hold, refusal_for
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, SOLD_OUT, give_back, read_counter, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm, Hold
    from harness.specimens._statements import Returned, Ticket


class HoldsTakeNothing(BoxOffice):
    """See the module."""

    name = "holds_take_nothing"
    supports = HOLDING

    async def hold(self, db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
        """Look, and make a note."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, [operation.person]):
                return refusal
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_hold(db, ticket, operation)

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Turn the note into an RSVP, and count it."""
        async with self.transaction(db, ticket):
            quantity = await end_hold(db, operation)
            if quantity is None:
                return NO_SUCH_HOLD
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            await give_back(db, ticket, -quantity)
            return Answer(Outcome.ACCEPTED, reservation=str(rsvp))

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put on sale what an RSVP had; a note that is torn up or thrown away had nothing."""
        if returned.rsvp is not None:
            await super().restock(db, returned)


SPECIMEN = Specimen(
    name="holds_take_nothing",
    doc=__doc__ or "",
    target=HoldsTakeNothing(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="holds_race",
        engine="burst",
        source="FOSSBilling, issue 4130: stock is not reserved between checkout and activation",
    ),
)
