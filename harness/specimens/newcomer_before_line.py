"""A cancel puts its unit on sale and commits; then the line is served in a transaction of its own.

The promotion sends mails and may fail, and no cancel should fail with it: so they were kept apart. In
between, the unit is on sale to everybody, and a newcomer who happens to ask goes past all who wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import give_back

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Cancel
    from harness.specimens._statements import Returned, Ticket


class NewcomerBeforeLine(BoxOffice):
    """See the module."""

    name = "newcomer_before_line"
    supports = WAITING

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Cancel; then promote."""
        answer = await super().cancel(db, ticket, operation)
        async with self.transaction(db, ticket):
            await self.serve_line(db, ticket)
        return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put it on sale."""
        await give_back(db, returned.ticket, returned.quantity)


SPECIMEN = Specimen(
    name="newcomer_before_line",
    doc=__doc__ or "",
    target=NewcomerBeforeLine(),
    mistake=Mistake(
        laws=frozenset({"waitlist_in_order"}),
        scenario="waiting_in_line",
        engine="burst",
        source="programaconnosotros/pcn-website, pull request 256: cancellation commits before the promotion",
    ),
)
