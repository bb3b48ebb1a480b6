"""What comes back goes on sale, and the line is served when the organizer says so.

People are told that they will hear from us. Nobody is ever passed over in the line itself, and what came
back is sold to whoever looks at the page at the right moment. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import WAITING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import give_back

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned


class CancelForgetsLine(BoxOffice):
    """See the module."""

    name = "cancel_forgets_line"
    supports = WAITING

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put it on sale."""
        await give_back(db, returned.ticket, returned.quantity)


SPECIMEN = Specimen(
    name="cancel_forgets_line",
    doc=__doc__ or "",
    target=CancelForgetsLine(),
    mistake=Mistake(
        laws=frozenset({"waitlist_is_served"}),
        scenario="waitlist_promotion",
        engine="burst",
        source="Attendize, issue 859: those who wait should be told when somebody cancels, and let in",
    ),
)
