"""Insert the members of a group in the order in which they were named, then take as many; all or nothing.

A unique key says whether one of them has an RSVP already, so nothing is checked that could go stale. But
who inserts a key that somebody else has inserted and not committed waits for them. Two groups that name the
same friends in another order wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NoneLeftError, take_units, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupInNamedOrder(BoxOffice):
    """See the module."""

    name = "group_in_named_order"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Insert; take; all or nothing."""
        async with db.transaction():
            group = [await write_rsvp(db, ticket, member) for member in operation.members]
            if not await take_units(db, ticket, len(group)):
                raise NoneLeftError
        return Answer(Outcome.ACCEPTED, group=tuple(str(rsvp) for rsvp in group))


SPECIMEN = Specimen(
    name="group_in_named_order",
    doc=__doc__ or "",
    target=GroupInNamedOrder(),
    mistake=Mistake(
        laws=frozenset({"no_deadlock"}),
        scenario="friend_in_two_groups",
        engine="explore",
        source="PostgreSQL manual, 13.3.4 Deadlocks: acquire locks on multiple objects in a consistent order",
    ),
)
