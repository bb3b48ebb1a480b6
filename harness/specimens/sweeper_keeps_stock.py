"""The clean-up marks holds that have run out, and their units stay where they are.

Confirming an expired hold is refused, and the list of holds is tidy. That the unit has to go back to the
counter is done where holds are released, and was forgotten where they run out; with every buyer who closes
the window there is one less to sell. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer
    from harness.specimens._statements import Ticket


class SweeperKeepsStock(BoxOffice):
    """See the module."""

    name = "sweeper_keeps_stock"
    supports = HOLDING

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Mark what has run out."""
        await db.execute(
            "UPDATE holds SET status = 'expired'"
            " WHERE ticket_id = $1 AND status = 'held' AND expires_at <= now()",
            ticket.id,
        )
        return DONE


SPECIMEN = Specimen(
    name="sweeper_keeps_stock",
    doc=__doc__ or "",
    target=SweeperKeepsStock(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="expired_holds_resell",
        engine="burst",
        source="pass-culture-api, pull request 2273: the job that cancels did not count what came back",
    ),
)
