"""No counter at all: the capacity is a number, what is sold are rows, and both are looked at under one lock.

What remains is never written down, so no change of the capacity can write it down wrongly. Whoever sells and
whoever changes the capacity lock the ticket type first, and count then. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, SELLING, TOO_SMALL, BoxOffice
from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Specimen
from harness.specimens._statements import SOLD_OUT, count_left, count_sold, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity, Reserve
    from harness.specimens._statements import Ticket


class CapacityCounted(ShopOfRows, BoxOffice):
    """See the module."""

    name = "capacity_counted"
    supports = SELLING | {Feature.CAPACITY}

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock, count, insert."""
        async with self.transaction(db, ticket):
            if await count_left(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Lock, count, write."""
        async with self.transaction(db, ticket):
            if operation.capacity < await count_sold(db, ticket):
                return TOO_SMALL
            await db.execute(
                "UPDATE tickets SET quantity_initial = $2 WHERE id = $1", ticket.id, operation.capacity
            )
        return DONE


SPECIMEN = Specimen(name="capacity_counted", doc=__doc__ or "", target=CapacityCounted())
