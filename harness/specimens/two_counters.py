"""Count what is sold, with a guard, and then write what remains, which is computed from it.

The guard is right and nothing is oversold by it. What remains is only there to be shown; but it is written
when the sale is committed already, from a number read before that, so the two counters disagree, for a
moment always, and for good when somebody else is in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


class TwoCounters(Shop):
    """See the module."""

    name = "two_counters"
    constraints = ONE_PER_PERSON + "ALTER TABLE tickets ADD sold integer NOT NULL DEFAULT 0;"
    sold = "t.sold"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell, with a guard; then write what remains."""
        async with db.transaction():
            left = await db.fetchval(
                "UPDATE tickets SET sold = sold + $2 WHERE id = $1 AND sold + $2 <= quantity_initial"
                " RETURNING quantity_initial - sold",
                ticket.id,
                operation.quantity,
            )
            if left is None:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
        await db.execute("UPDATE tickets SET quantity_available = $2 WHERE id = $1", ticket.id, left)
        return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Count both back."""
        await db.execute(
            "UPDATE tickets SET sold = sold - $2, quantity_available = quantity_available + $2 WHERE id = $1",
            returned.ticket.id,
            returned.quantity,
        )


SPECIMEN = Specimen(
    name="two_counters",
    doc=__doc__ or "",
    target=TwoCounters(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="enough_for_everybody",
        engine="explore",
        source="one invariant over two writes: Bailis et al., Feral Concurrency Control, SIGMOD 2015",
    ),
)
