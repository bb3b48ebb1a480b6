"""Every sale is counted, in its transaction; cancels are not.

The organizer asked how many were sold, and a ticket that was cancelled was sold, too. It shows when what
was sold is compared with who comes. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import BoxOffice
from harness.specimens._sales import CountingOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned


class SalesNeverGoDown(CountingOffice):
    """See the module."""

    name = "sales_never_go_down"

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again."""
        await BoxOffice.restock(self, db, returned)


SPECIMEN = Specimen(
    name="sales_never_go_down",
    doc=__doc__ or "",
    target=SalesNeverGoDown(),
    mistake=Mistake(
        laws=frozenset({"sales_are_true"}),
        scenario="sales_statistics",
        engine="burst",
        source="Hi.Events, issue 466: a cancelled order stays in the numbers",
    ),
)
