"""Count the sale, then sell.

The statistics are in a table of their own, with a connection and a commit of their own, so as not to slow
the sale down. Whoever is then told that it is sold out has been counted all the same. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import BoxOffice
from harness.specimens._sales import CountingOffice, count_sale
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class SalesCountedFirst(CountingOffice):
    """See the module."""

    name = "sales_counted_first"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Count; sell."""
        await count_sale(db, ticket, operation.quantity)
        return await BoxOffice.reserve(self, db, ticket, operation)


SPECIMEN = Specimen(
    name="sales_counted_first",
    doc=__doc__ or "",
    target=SalesCountedFirst(),
    mistake=Mistake(
        laws=frozenset({"sales_are_true"}),
        scenario="sales_statistics",
        engine="burst",
        source="a counter kept outside of the transaction it counts: the dual write",
    ),
)
