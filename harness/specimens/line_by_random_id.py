"""Who waits longest is who has the smallest id, and ids are random.

It was right as long as ids were counted. Then they became UUIDs, as they should for what stands in links,
and ORDER BY id still gives an order: another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


class LineByRandomId(BoxOffice):
    """See the module."""

    name = "line_by_random_id"
    supports = WAITING
    constraints = (
        BoxOffice.constraints + "ALTER TABLE waitlist ADD public_id uuid NOT NULL DEFAULT gen_random_uuid();"
    )

    async def next_in_line(self, db: asyncpg.Connection, ticket: Ticket) -> str | None:
        """Take the first in the order of the ids."""
        person: str | None = await db.fetchval(
            "DELETE FROM waitlist WHERE id ="
            " (SELECT id FROM waitlist WHERE ticket_id = $1 ORDER BY public_id LIMIT 1) RETURNING user_id",
            ticket.id,
        )
        return person


SPECIMEN = Specimen(
    name="line_by_random_id",
    doc=__doc__ or "",
    target=LineByRandomId(),
    mistake=Mistake(
        laws=frozenset({"waitlist_in_order"}),
        scenario="waiting_in_line",
        engine="burst",
        source="RFC 9562, Universally Unique IDentifiers, 6.11: version 4 identifiers do not sort by time",
    ),
)
