"""A group is one statement: take as many units as there are members, and insert them, if that could be taken.

The insert reads its rows through the update, so there are none when nothing was taken; a key that is there
already undoes all of it. There is no moment between, and nothing to undo by hand. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice
from harness.specimens._specimen import Specimen
from harness.specimens._statements import SOLD_OUT

if TYPE_CHECKING:
    import asyncpg

    from harness.model import ReserveGroup
    from harness.specimens._statements import Ticket


class GroupInOneStatement(BoxOffice):
    """See the module."""

    name = "group_in_one_statement"
    supports = SELLING | {Feature.GROUP}

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Take and insert."""
        rows = await db.fetch(
            "WITH taken AS ("
            " UPDATE tickets SET quantity_available = quantity_available - cardinality($2::text[])"
            " WHERE id = $1 AND quantity_available >= cardinality($2::text[]) RETURNING id, event_id"
            ") INSERT INTO rsvps (event_id, ticket_id, user_id, quantity)"
            " SELECT taken.event_id, taken.id, member, 1"
            " FROM taken, unnest($2::text[]) member ORDER BY member"
            " RETURNING user_id, id",
            ticket.id,
            list(operation.members),
        )
        if not rows:
            return SOLD_OUT
        made = {row["user_id"]: str(row["id"]) for row in rows}
        return Answer(Outcome.ACCEPTED, group=tuple(made[member] for member in operation.members))


SPECIMEN = Specimen(name="group_in_one_statement", doc=__doc__ or "", target=GroupInOneStatement())
