"""A group is a loop over its members, each of them reserved rightly and at once.

The function that reserves for one was there already, and nobody who is told that it is sold out is charged.
But who is told so is the third of five friends, and the first two have their tickets by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome, Reserve
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupOneByOne(BoxOffice):
    """See the module."""

    name = "group_one_by_one"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Reserve for each, and stop at the first who is refused."""
        made = []
        for member in operation.members:
            answer = await self.reserve(db, ticket, Reserve(ticket=operation.ticket, person=member))
            if answer.outcome is not Outcome.ACCEPTED:
                return answer
            made.append(str(answer.reservation))
        return Answer(Outcome.ACCEPTED, group=tuple(made))


SPECIMEN = Specimen(
    name="group_one_by_one",
    doc=__doc__ or "",
    target=GroupOneByOne(),
    mistake=Mistake(
        laws=frozenset({"groups_all_or_nothing"}),
        scenario="friends_together",
        engine="burst",
        source="atomic steps do not make an atomic whole: Gray 1981, The Transaction Concept",
    ),
)
