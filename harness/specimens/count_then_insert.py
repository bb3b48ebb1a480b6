"""Count the RSVPs there are, and insert one if they are fewer than the quantity: two statements.

There is no counter that could be wrong, and the rows are the truth. But between the count and the insert
everybody else counts too, and sees the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class CountThenInsert(ShopOfRows):
    """See the module."""

    name = "count_then_insert"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Count, then insert, each committed by itself."""
        if await count_left(db, ticket) < operation.quantity:
            return SOLD_OUT
        return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="count_then_insert",
    doc=__doc__ or "",
    target=CountThenInsert(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="phantom: Berenson et al., SIGMOD 1995, phenomenon P3",
    ),
)
