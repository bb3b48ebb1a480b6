"""Take a unit for each member of a group, one after the other, then write all their RSVPs in one transaction.

The rows are all or nothing, and nothing is oversold. The units are not: they were taken before, each in a
statement of its own, and when the last of them is not to be had, or somebody is in another group already,
those that were taken stay taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import SOLD_OUT, take_units, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupDeductsFirst(BoxOffice):
    """See the module."""

    name = "group_deducts_first"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Take, take, take; write."""
        for _ in operation.members:
            if not await take_units(db, ticket):
                return SOLD_OUT
        async with self.transaction(db, ticket):
            group = [await write_rsvp(db, ticket, member) for member in operation.members]
        return Answer(Outcome.ACCEPTED, group=tuple(str(rsvp) for rsvp in group))


SPECIMEN = Specimen(
    name="group_deducts_first",
    doc=__doc__ or "",
    target=GroupDeductsFirst(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="friends_together",
        engine="burst",
        source="the stock leak of the story's flow, once for each member: decrement and insert are two steps",
    ),
)
