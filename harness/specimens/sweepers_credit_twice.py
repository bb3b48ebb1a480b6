"""The clean-up adds up what has run out, gives that back, and marks it, on every server once a minute.

One of them was always enough. Since there are two servers there are two of them, started by the same clock:
both add up the same holds before either has marked them, and both give them back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer
    from harness.specimens._statements import Ticket


class SweepersCreditTwice(BoxOffice):
    """See the module."""

    name = "sweepers_credit_twice"
    supports = HOLDING

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Add up; give back; mark."""
        over = await db.fetchval(
            "SELECT coalesce(sum(quantity), 0) FROM holds"
            " WHERE ticket_id = $1 AND status = 'held' AND expires_at <= now()",
            ticket.id,
        )
        async with self.transaction(db, ticket):
            await self.restock(db, Returned(ticket, over))
            await db.execute(
                "UPDATE holds SET status = 'expired'"
                " WHERE ticket_id = $1 AND status = 'held' AND expires_at <= now()",
                ticket.id,
            )
        return DONE


SPECIMEN = Specimen(
    name="sweepers_credit_twice",
    doc=__doc__ or "",
    target=SweepersCreditTwice(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="expired_holds_resell",
        engine="explore",
        source="celery, issue 2856: two schedulers on two servers run every periodic task twice",
    ),
)
