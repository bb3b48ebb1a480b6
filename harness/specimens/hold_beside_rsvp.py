"""Buying looks for an RSVP, holding looks for a hold, and confirming trusts that holding has looked.

Each of the two ways to a ticket keeps its own rule: one RSVP for each person, and one hold. Who holds one in
one tab and buys one in another is stopped by neither, and then pays for the hold. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import HOLDING, ONE_HOLD_PER_PERSON, BoxOffice, insert_hold
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, has_rsvp, insert_rsvp, take, take_units

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Hold, Reserve
    from harness.specimens._statements import Ticket


class HoldBesideRsvp(BoxOffice):
    """See the module."""

    name = "hold_beside_rsvp"
    supports = HOLDING
    constraints = ONE_HOLD_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look for an RSVP, take, insert."""
        async with self.transaction(db, ticket):
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if not await take(db, ticket, operation):
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)

    async def hold(self, db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
        """Take and hold; the key looks for a hold."""
        async with self.transaction(db, ticket):
            if not await take_units(db, ticket, operation.quantity):
                return SOLD_OUT
            return await insert_hold(db, ticket, operation)


SPECIMEN = Specimen(
    name="hold_beside_rsvp",
    doc=__doc__ or "",
    target=HoldBesideRsvp(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="hold_beside_reserve",
        engine="burst",
        source="a rule kept in each door instead of in the house: CWE-841, behavioral workflow",
    ),
)
