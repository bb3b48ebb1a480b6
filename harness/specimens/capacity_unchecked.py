"""The organizer's page writes the capacity that was typed in.

Organizers know what they do, and what remains is what they say there is, less what is sold. When they say
there is less than that, it remains below zero, and more is sold than there is. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity
    from harness.specimens._statements import Ticket


class CapacityUnchecked(BoxOffice):
    """See the module."""

    name = "capacity_unchecked"
    supports = SELLING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Move both numbers by the difference."""
        async with self.transaction(db, ticket):
            await db.execute(
                "UPDATE tickets SET quantity_initial = $2,"
                " quantity_available = quantity_available + $2 - quantity_initial WHERE id = $1",
                ticket.id,
                operation.capacity,
            )
        return DONE


SPECIMEN = Specimen(
    name="capacity_unchecked",
    doc=__doc__ or "",
    target=CapacityUnchecked(),
    mistake=Mistake(
        laws=frozenset({"capacity_covers_sold"}),
        scenario="capacity_lowered",
        engine="burst",
        source="azavea/nyc-trees, issue 1676: the capacity can be changed to less than are registered",
    ),
)
