"""Whoever buys tells everybody how many remain; whoever cancels tells nobody.

Notices were made to show that it is sold out. That something comes back was not thought of, and the page
goes on saying so until the next one buys. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import BoxOffice
from harness.specimens._notices import TellingOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned


class CancelSendsNoNotice(TellingOffice):
    """See the module."""

    name = "cancel_sends_no_notice"

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again."""
        await BoxOffice.restock(self, db, returned)


SPECIMEN = Specimen(
    name="cancel_sends_no_notice",
    doc=__doc__ or "",
    target=CancelSendsNoNotice(),
    mistake=Mistake(
        laws=frozenset({"notices_are_true"}),
        scenario="notices_and_rush",
        engine="explore",
        source="an event for one of two changes: cache invalidation that was forgotten on one path",
    ),
)
