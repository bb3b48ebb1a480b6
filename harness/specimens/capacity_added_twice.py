"""Compute by how much the capacity grows, then add that to what remains, in one atomic statement.

Adding instead of writing is what loses no sale. But the difference was computed before, from a number that
may be another one by now: two clicks on "save" compute the same difference, and it is added twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, SELLING, TOO_SMALL, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity
    from harness.specimens._statements import Ticket


class CapacityAddedTwice(BoxOffice):
    """See the module."""

    name = "capacity_added_twice"
    supports = SELLING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Compute the difference; add it."""
        before = await db.fetchval("SELECT quantity_initial FROM tickets WHERE id = $1", ticket.id)
        changed = await db.fetchval(
            "UPDATE tickets SET quantity_initial = $2, quantity_available = quantity_available + $3"
            " WHERE id = $1 AND quantity_available + $3 >= 0 RETURNING id",
            ticket.id,
            operation.capacity,
            operation.capacity - before,
        )
        return TOO_SMALL if changed is None else DONE


SPECIMEN = Specimen(
    name="capacity_added_twice",
    doc=__doc__ or "",
    target=CapacityAddedTwice(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="capacity_raised",
        engine="explore",
        source=(
            "aimeos, issue 40: the increments that were to cure the lost update, computed from what was read"
        ),
    ),
)
