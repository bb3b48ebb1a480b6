"""Count what is sold, refuse a capacity below that, then write what remains: the capacity less the count.

The count is right and the rule is kept, at the moment of the count. Whoever buys before the number is
written is not in it: their place is on sale again, and the capacity may be smaller than what is sold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, SELLING, TOO_SMALL, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import count_sold

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity
    from harness.specimens._statements import Ticket


class CapacityLooksFirst(BoxOffice):
    """See the module."""

    name = "capacity_looks_first"
    supports = SELLING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Count; compare; write."""
        sold = await count_sold(db, ticket)
        if operation.capacity < sold:
            return TOO_SMALL
        await db.execute(
            "UPDATE tickets SET quantity_initial = $2, quantity_available = $3 WHERE id = $1",
            ticket.id,
            operation.capacity,
            operation.capacity - sold,
        )
        return DONE


SPECIMEN = Specimen(
    name="capacity_looks_first",
    doc=__doc__ or "",
    target=CapacityLooksFirst(),
    mistake=Mistake(
        laws=frozenset({"capacity_covers_sold"}),
        scenario="capacity_lowered",
        engine="explore",
        source="verbb/events, issues 32 and 130: the value is edited while somebody is purchasing",
    ),
)
