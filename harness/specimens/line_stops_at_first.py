"""Something came back: move the first in line up.

For one ticket that comes back, one person is moved up, and that is what the code says. But a capacity that
is raised by ten brings ten places and moves up one, and nobody looks at the line again before somebody
cancels. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import read_counter, take_units, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


class LineStopsAtFirst(BoxOffice):
    """See the module."""

    name = "line_stops_at_first"
    supports = WAITING | {Feature.CAPACITY}

    async def serve_line(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Move one person up, when there is something."""
        if await read_counter(db, ticket) < 1:
            return
        person = await self.next_in_line(db, ticket)
        if person is not None and await take_units(db, ticket):
            await write_rsvp(db, ticket, person)


SPECIMEN = Specimen(
    name="line_stops_at_first",
    doc=__doc__ or "",
    target=LineStopsAtFirst(),
    mistake=Mistake(
        laws=frozenset({"waitlist_in_order"}),
        scenario="capacity_raised_for_the_line",
        engine="burst",
        source="Eventra, issue 13345: one entry is looked at, and vacancies remain while people wait",
    ),
)
