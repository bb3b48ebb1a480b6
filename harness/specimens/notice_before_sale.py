"""Tell everybody what will remain, then sell.

The page should change at once, so the notice leaves first, with the number that the sale will bring about.
It has no transaction to wait for, and is sent whether the sale comes about or not. Two who buy at once both
announce the same number, and one less remains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import BoxOffice
from harness.specimens._notices import TellingOffice, tell
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import SOLD_OUT, read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class NoticeBeforeSale(TellingOffice):
    """See the module."""

    name = "notice_before_sale"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look; tell; sell."""
        left = await read_counter(db, ticket)
        if left < operation.quantity:
            return SOLD_OUT
        await tell(db, ticket, left - operation.quantity)
        return await BoxOffice.reserve(self, db, ticket, operation)


SPECIMEN = Specimen(
    name="notice_before_sale",
    doc=__doc__ or "",
    target=NoticeBeforeSale(),
    mistake=Mistake(
        laws=frozenset({"notices_are_true"}),
        scenario="notices_and_rush",
        engine="explore",
        source=(
            "the dual write: message and database change are not one transaction; Richardson, "
            "Microservices Patterns, 3.3"
        ),
    ),
)
