"""Whoever cancels hands their ticket to the first in line: find them, write their RSVP, strike them off.

The ticket goes from hand to hand and never touches the counter, so no newcomer can get in between. But two
who cancel at once find the same person at the head of the line. One person gets two tickets, and the second
in line none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import ONE_PLACE_PER_PERSON, WAITING, BoxOffice
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import give_back, write_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned


class LinePromotesTwice(BoxOffice):
    """See the module."""

    name = "line_promotes_twice"
    supports = WAITING
    constraints = ONE_PLACE_PER_PERSON

    transaction = Shop.transaction
    """Begins, and locks nothing."""

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Find the first; hand over; strike off. On sale only when nobody waits."""
        ticket = returned.ticket
        first = await db.fetchrow(
            "SELECT id, user_id FROM waitlist WHERE ticket_id = $1 ORDER BY id LIMIT 1", ticket.id
        )
        if first is None:
            await give_back(db, ticket, returned.quantity)
            return
        await write_rsvp(db, ticket, first["user_id"], returned.quantity)
        await db.execute("DELETE FROM waitlist WHERE id = $1", first["id"])


SPECIMEN = Specimen(
    name="line_promotes_twice",
    doc=__doc__ or "",
    target=LinePromotesTwice(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="waitlist_promotion",
        engine="explore",
        source="Eventra, issue 5698: concurrent waitlist promotion causes duplicate registrations",
    ),
)
