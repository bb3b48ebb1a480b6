"""Sell; when that is committed, read how many remain, and tell everybody.

Nothing is announced that did not happen. But reading and telling are two steps, and between them somebody
else may sell, read and tell: then the newer number arrives first, and the older one stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import BoxOffice
from harness.specimens._notices import TellingOffice, tell
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class NoticeAfterCommit(TellingOffice):
    """See the module."""

    name = "notice_after_commit"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell; read; tell."""
        answer = await BoxOffice.reserve(self, db, ticket, operation)
        await tell(db, ticket, await read_counter(db, ticket))
        return answer


SPECIMEN = Specimen(
    name="notice_after_commit",
    doc=__doc__ or "",
    target=NoticeAfterCommit(),
    mistake=Mistake(
        laws=frozenset({"notices_are_true"}),
        scenario="notices_and_rush",
        engine="explore",
        source=(
            "messages sent after the commit overtake each other: Kleppmann, Designing Data-Intensive "
            "Applications, ch. 11, Keeping Systems in Sync"
        ),
    ),
)
