"""Insert the group with ON CONFLICT DO NOTHING, and do not look how many rows that made.

One statement for all members, and a member who has an RSVP already is no error: they have one, after all.
But the statement says nothing about it either. A unit is taken for each of them, whether there is a row or
not, and the group is told that all is well. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import SOLD_OUT, take_units

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupSkipsDuplicates(BoxOffice):
    """See the module."""

    name = "group_skips_duplicates"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Take for all; insert whom it will."""
        async with self.transaction(db, ticket):
            if not await take_units(db, ticket, len(operation.members)):
                return SOLD_OUT
            made = await db.fetch(
                "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity)"
                " SELECT $1, $2, member, 1 FROM unnest($3::text[]) member"
                " ON CONFLICT (event_id, user_id) WHERE status = 'confirmed' DO NOTHING RETURNING id",
                ticket.event_id,
                ticket.id,
                list(operation.members),
            )
        return Answer(Outcome.ACCEPTED, group=tuple(str(row["id"]) for row in made))


SPECIMEN = Specimen(
    name="group_skips_duplicates",
    doc=__doc__ or "",
    target=GroupSkipsDuplicates(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="friend_in_two_groups",
        engine="burst",
        source="unchecked return value: CWE-252",
    ),
)
