"""Sales are counted in a materialized view, which is refreshed after every sale.

The view is never old for long, because who sells refreshes it. But the RSVP is committed first, and a
refresh takes its time: until it is through, everybody is shown the number from before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Returned, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve

_VIEW = """
    CREATE MATERIALIZED VIEW sales AS
    SELECT ticket_id, sum(quantity) AS sold
    FROM rsvps WHERE status = 'confirmed' GROUP BY ticket_id;
"""


class MaterializedView(ShopOfRows):
    """See the module."""

    name = "materialized_view"
    constraints = ONE_PER_PERSON + _VIEW

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look at the view, insert, refresh the view."""
        left = await db.fetchval(
            "SELECT t.quantity_initial - coalesce(s.sold, 0)"
            " FROM tickets t LEFT JOIN sales s ON s.ticket_id = t.id WHERE t.id = $1",
            ticket.id,
        )
        if left < operation.quantity:
            return SOLD_OUT
        answer = await insert_rsvp(db, ticket, operation)
        await db.execute("REFRESH MATERIALIZED VIEW sales")
        return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:  # noqa: ARG002  # all is counted anew
        """Count again."""
        await db.execute("REFRESH MATERIALIZED VIEW sales")


SPECIMEN = Specimen(
    name="materialized_view",
    doc=__doc__ or "",
    target=MaterializedView(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, REFRESH MATERIALIZED VIEW: the contents are those of the last refresh",
    ),
)
