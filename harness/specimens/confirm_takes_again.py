"""Confirming a hold goes through the same function as buying, which takes a unit.

One function makes RSVPs, and there is one place where the counter moves: that is how it should be. But a
hold has taken its unit before, and confirming takes another one. The first is never given back, and the
holder of the last ticket is told that it is sold out. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._box_office import HOLDING, BoxOffice, end_hold
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, NoneLeftError, take_units, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm
    from harness.specimens._statements import Ticket


class ConfirmTakesAgain(BoxOffice):
    """See the module."""

    name = "confirm_takes_again"
    supports = HOLDING

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """End the hold; buy."""
        async with self.transaction(db, ticket):
            quantity = await end_hold(db, operation)
            if quantity is None:
                return NO_SUCH_HOLD
            if not await take_units(db, ticket, quantity):
                raise NoneLeftError
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="confirm_takes_again",
    doc=__doc__ or "",
    target=ConfirmTakesAgain(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="confirm_twice",
        engine="burst",
        source="WooCommerce, issue 67354: a shopper is blocked by their own stock reservation",
    ),
)
