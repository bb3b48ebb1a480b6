"""Look whether there is room for the whole group, then write the group down and take off as many.

The look is what makes it all or nothing, and it is the right look; it only does not hold until the group is
written. Two groups look at the same room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import SOLD_OUT, give_back, read_counter, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupChecksThenSells(BoxOffice):
    """See the module."""

    name = "group_checks_then_sells"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Look; then write and take off."""
        size = len(operation.members)
        if await read_counter(db, ticket) < size:
            return SOLD_OUT
        async with self.transaction(db, ticket):
            group = [await write_rsvp(db, ticket, member) for member in operation.members]
            await give_back(db, ticket, -size)
        return Answer(Outcome.ACCEPTED, group=tuple(str(rsvp) for rsvp in group))


SPECIMEN = Specimen(
    name="group_checks_then_sells",
    doc=__doc__ or "",
    target=GroupChecksThenSells(),
    mistake=Mistake(
        laws=frozenset({"never_negative", "no_oversell"}),
        scenario="friends_together",
        engine="explore",
        source="time of check to time of use: CWE-367",
    ),
)
