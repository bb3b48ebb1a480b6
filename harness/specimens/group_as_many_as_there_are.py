"""Take as many units as there are for the group, and write down as many of its members.

It was written for carts, where it is a service: who wants five and can have three gets three, and is told
so at the till. A group is no cart. Those who are left outside had a place with their friends in mind, and
nobody asked them. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice, refusal_for
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import SOLD_OUT, give_back, read_counter, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupAsManyAsThereAre(BoxOffice):
    """See the module."""

    name = "group_as_many_as_there_are"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Take what there is; write down as many."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, operation.members):
                return refusal
            lucky = operation.members[: await read_counter(db, ticket)]
            if not lucky:
                return SOLD_OUT
            await give_back(db, ticket, -len(lucky))
            group = [await write_rsvp(db, ticket, member) for member in lucky]
        return Answer(Outcome.ACCEPTED, group=tuple(str(rsvp) for rsvp in group))


SPECIMEN = Specimen(
    name="group_as_many_as_there_are",
    doc=__doc__ or "",
    target=GroupAsManyAsThereAre(),
    mistake=Mistake(
        laws=frozenset({"groups_all_or_nothing"}),
        scenario="friends_together",
        engine="explore",
        source="partial fulfilment, as in shops that cut a cart down to what is in stock",
    ),
)
