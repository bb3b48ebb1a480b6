"""Count the RSVPs there are and insert one, in a READ COMMITTED transaction.

The same as without the transaction, and more convincing to read. READ COMMITTED shows what was committed
when the statement began: the rows of those who are at the same point are not there yet, and nothing waits
for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class CountInTransaction(ShopOfRows):
    """See the module."""

    name = "count_in_transaction"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Count and insert between BEGIN and COMMIT."""
        async with db.transaction():
            if await count_left(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="count_in_transaction",
    doc=__doc__ or "",
    target=CountInTransaction(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "phantom: Berenson et al., SIGMOD 1995, phenomenon P3; PostgreSQL manual, 13.2.1 Read Committed"
        ),
    ),
)
