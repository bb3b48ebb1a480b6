"""Give a hold up by its number, whatever it has become.

The button is only there while something is held. But a page that was opened before still shows it: the hold
has been paid for in another tab, or has run out and been given back, and now its unit is given back once
more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import NO_SUCH_HOLD, Returned

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Release
    from harness.specimens._statements import Ticket


class ReleaseWhateverItIs(BoxOffice):
    """See the module."""

    name = "release_whatever_it_is"
    supports = HOLDING

    async def release(self, db: asyncpg.Connection, ticket: Ticket, operation: Release) -> Answer:
        """Mark and give back."""
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE holds SET status = 'released' WHERE id = $1 AND user_id = $2 RETURNING quantity",
                int(operation.hold or 0),
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_HOLD
            await self.restock(db, Returned(ticket, quantity))
        return DONE


SPECIMEN = Specimen(
    name="release_whatever_it_is",
    doc=__doc__ or "",
    target=ReleaseWhateverItIs(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="confirm_races_release",
        engine="burst",
        source="improper handling of the state of a resource: CWE-372",
    ),
)
