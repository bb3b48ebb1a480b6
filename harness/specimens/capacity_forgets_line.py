"""More places are more places to sell: the counter goes up, and whoever asks can have them.

Cancels serve the line; the change of the capacity was built by somebody else, for the organizer's page, and
knows nothing of a line. The new places are for those who come now. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import DONE, TOO_SMALL, WAITING, BoxOffice, move_capacity
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, ChangeCapacity
    from harness.specimens._statements import Ticket


class CapacityForgetsLine(BoxOffice):
    """See the module."""

    name = "capacity_forgets_line"
    supports = WAITING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Move both numbers by the difference."""
        async with self.transaction(db, ticket):
            moved = await move_capacity(db, ticket, operation.capacity)
        return DONE if moved else TOO_SMALL


SPECIMEN = Specimen(
    name="capacity_forgets_line",
    doc=__doc__ or "",
    target=CapacityForgetsLine(),
    mistake=Mistake(
        laws=frozenset({"waitlist_in_order"}),
        scenario="capacity_raised_for_the_line",
        engine="explore",
        source=(
            "freeCodeCamp/chapter, issue 2330: modifying the capacity of an event does not affect the "
            "waitlist"
        ),
    ),
)
