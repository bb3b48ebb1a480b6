"""A capacity may not be below what is sold, and what remains is the capacity less what is sold.

That was right until there were holds. What is set aside for somebody who is paying is neither sold nor on
sale; the change of the capacity knows only these two, and puts it on sale again. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, HOLDING, TOO_SMALL, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import count_sold

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity
    from harness.specimens._statements import Ticket


class CapacityForgetsHolds(BoxOffice):
    """See the module."""

    name = "capacity_forgets_holds"
    supports = HOLDING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Count what is sold; compare; write what remains."""
        async with self.transaction(db, ticket):
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
    name="capacity_forgets_holds",
    doc=__doc__ or "",
    target=CapacityForgetsHolds(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="capacity_lowered_under_holds",
        engine="explore",
        source="a third state added to two: CWE-372, incomplete internal state distinction",
    ),
)
