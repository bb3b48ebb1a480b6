"""Look whether it is sold out, then stand in line.

Nobody loses anything by waiting in line, so nothing was locked for it. Whoever cancels between the look and
the place in the line finds nobody there, and puts their ticket on sale. It remains on sale, and somebody
waits for it who will not be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._box_office import (
    DONE,
    SOMETHING_REMAINS,
    WAITING,
    BoxOffice,
    insert_place,
    refusal_for,
)
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, JoinWaitlist
    from harness.specimens._statements import Ticket


class JoinWithoutLock(BoxOffice):
    """See the module."""

    name = "join_without_lock"
    supports = WAITING

    async def join(self, db: asyncpg.Connection, ticket: Ticket, operation: JoinWaitlist) -> Answer:
        """Look; stand in line."""
        if refusal := await refusal_for(db, ticket, [operation.person]):
            return refusal
        if await read_counter(db, ticket) > 0:
            return SOMETHING_REMAINS
        await insert_place(db, ticket, operation.person)
        return DONE


SPECIMEN = Specimen(
    name="join_without_lock",
    doc=__doc__ or "",
    target=JoinWithoutLock(),
    mistake=Mistake(
        laws=frozenset({"waitlist_is_served"}),
        scenario="join_races_cancel",
        engine="explore",
        source="the phantom of a check over rows that are not there yet: Berenson et al., SIGMOD 1995, P3",
    ),
)
