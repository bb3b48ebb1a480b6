"""The line is read from the end.

The query came from the organizer's page, which lists who has joined lately, the latest first. There it is
what one wants to see. Here it gives whatever comes back to the one who has waited least. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


class LineFromTheEnd(BoxOffice):
    """See the module."""

    name = "line_from_the_end"
    supports = WAITING

    async def next_in_line(self, db: asyncpg.Connection, ticket: Ticket) -> str | None:
        """Take the first of the list."""
        person: str | None = await db.fetchval(
            "DELETE FROM waitlist WHERE id ="
            " (SELECT id FROM waitlist WHERE ticket_id = $1 ORDER BY id DESC LIMIT 1) RETURNING user_id",
            ticket.id,
        )
        return person


SPECIMEN = Specimen(
    name="line_from_the_end",
    doc=__doc__ or "",
    target=LineFromTheEnd(),
    mistake=Mistake(
        laws=frozenset({"waitlist_in_order"}),
        scenario="waitlist_promotion",
        engine="burst",
        source="JEM-Project, issue 1926: the first who registered should be the first to be moved up",
    ),
)
