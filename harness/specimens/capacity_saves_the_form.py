"""The organizer's page is loaded, one number on it is changed, and the whole of it is saved.

What remains stands on the page as well, as it was when the page was loaded, and grows by the difference.
Whoever bought while the page was open is undone, not in their RSVP but in the number: their ticket is on
sale again.
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


class CapacitySavesTheForm(BoxOffice):
    """See the module."""

    name = "capacity_saves_the_form"
    supports = SELLING | {Feature.CAPACITY}

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Load; change; save."""
        form = await db.fetchrow(
            "SELECT name, quantity_initial, quantity_available, closed FROM tickets WHERE id = $1", ticket.id
        )
        available = form["quantity_available"] + operation.capacity - form["quantity_initial"]
        if available < 0:
            return TOO_SMALL
        await db.execute(
            "UPDATE tickets SET name = $2, quantity_initial = $3, quantity_available = $4, closed = $5"
            " WHERE id = $1",
            ticket.id,
            form["name"],
            operation.capacity,
            available,
            form["closed"],
        )
        return DONE


SPECIMEN = Specimen(
    name="capacity_saves_the_form",
    doc=__doc__ or "",
    target=CapacitySavesTheForm(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="capacity_raised",
        engine="explore",
        source=(
            "WooCommerce, issue 16780, and Magento inventory, issue 538: saving a product undoes the "
            "sales since it was opened"
        ),
    ),
)
