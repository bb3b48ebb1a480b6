"""What a cancel gives back goes to the counter, and to whoever is first in line.

The cancel was there first and puts the unit on sale. When the line was added, the promotion was built beside
it: an RSVP for the one who waits. Each of the two is right alone; together they make two out of one. No race
is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import give_back, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned


class LinePromotedPastCapacity(BoxOffice):
    """See the module."""

    name = "line_promoted_past_capacity"
    supports = WAITING

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put it on sale; promote."""
        await give_back(db, returned.ticket, returned.quantity)
        person = await self.next_in_line(db, returned.ticket)
        if person is not None:
            await write_rsvp(db, returned.ticket, person)


SPECIMEN = Specimen(
    name="line_promoted_past_capacity",
    doc=__doc__ or "",
    target=LinePromotedPastCapacity(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="waitlist_promotion",
        engine="burst",
        source="Eventra, issue 18837: promotion by hand never counts the one who is promoted",
    ),
)
