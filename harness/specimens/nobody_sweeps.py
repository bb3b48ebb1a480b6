"""Holds run out by their time alone, and what is held is counted without looking at it.

An expired hold cannot be confirmed any more, so nothing needs to be cleaned up, it seems. But the counter
knows nothing of time: what was set aside for somebody who never came is held for ever, and the next buyer is
told that it is sold out. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer
    from harness.specimens._statements import Ticket


class NobodySweeps(BoxOffice):
    """See the module."""

    name = "nobody_sweeps"
    supports = HOLDING

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:  # noqa: ARG002  # nothing is done
        """Rely on the time."""
        return DONE


SPECIMEN = Specimen(
    name="nobody_sweeps",
    doc=__doc__ or "",
    target=NobodySweeps(),
    mistake=Mistake(
        laws=frozenset({"holds_end_once"}),
        scenario="expired_holds_resell",
        engine="burst",
        source=(
            "nirzaf/Stockpile, pull request 419: what has expired stays in the counter until somebody comes"
        ),
    ),
)
