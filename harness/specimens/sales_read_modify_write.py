"""Sell; then read what was sold so far, add to it, and write the sum.

The counting has been moved behind the sale, where it cannot slow it down, and an object was loaded, changed
and saved there. The sale itself is locked; this is not. Of two sums one is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Outcome
from harness.specimens._box_office import BoxOffice
from harness.specimens._sales import CountingOffice, read_sales
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class SalesReadModifyWrite(CountingOffice):
    """See the module."""

    name = "sales_read_modify_write"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell; read; write."""
        answer = await BoxOffice.reserve(self, db, ticket, operation)
        if answer.outcome is Outcome.ACCEPTED:
            sold = await read_sales(db, ticket) + operation.quantity
            await db.execute(
                "INSERT INTO sales (ticket_id, sold) VALUES ($1, $2)"
                " ON CONFLICT (ticket_id) DO UPDATE SET sold = excluded.sold",
                ticket.id,
                sold,
            )
        return answer


SPECIMEN = Specimen(
    name="sales_read_modify_write",
    doc=__doc__ or "",
    target=SalesReadModifyWrite(),
    mistake=Mistake(
        laws=frozenset({"sales_are_true"}),
        scenario="sales_statistics",
        engine="burst",
        source="lost update: Berenson et al., SIGMOD 1995, phenomenon P4",
    ),
)
