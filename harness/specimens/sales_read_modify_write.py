"""Load what was sold so far, sell, add to what was loaded, and save it.

A request begins with loading the objects it needs, and ends with saving those it changed: that is what such
libraries are for. The sale itself is locked. What was sold so far was loaded before the lock, and is saved
when others have been counted in between; of two changes one is lost.
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
        """Load; sell; save."""
        sold = await read_sales(db, ticket)
        answer = await BoxOffice.reserve(self, db, ticket, operation)
        if answer.outcome is Outcome.ACCEPTED:
            await db.execute(
                "INSERT INTO sales (ticket_id, sold) VALUES ($1, $2)"
                " ON CONFLICT (ticket_id) DO UPDATE SET sold = excluded.sold",
                ticket.id,
                sold + operation.quantity,
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
