"""Take a unit, insert the RSVP, and give the unit back when the insert failed for whatever reason.

Nothing may leak, so the compensation runs also when the connection was lost, on a new one. But an insert
whose answer was lost may have been made. Then the RSVP stands, and its unit is on sale again.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

from harness.postgres import connect
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class CompensatesLostAnswer(Shop):
    """See the module."""

    name = "compensates_lost_answer"
    constraints = ONE_PER_PERSON

    def __init__(self, database: str = "") -> None:
        self._database = database

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take; insert; give back if that failed."""
        if not await take(db, ticket, operation):
            return SOLD_OUT
        try:
            return await insert_rsvp(db, ticket, operation)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            again = await connect(self._database)
            try:
                await give_back(again, ticket, operation.quantity)
            finally:
                again.terminate()
            raise

    @contextlib.asynccontextmanager
    async def equipped(self, database: str) -> AsyncIterator[Shop]:
        """Know where to connect again."""
        yield CompensatesLostAnswer(database)


SPECIMEN = Specimen(
    name="compensates_lost_answer",
    doc=__doc__ or "",
    target=CompensatesLostAnswer(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="faults",
        source=(
            "the story: 'Atomic Operation Flow' of the published fix, whose compensation runs after a "
            "lost answer as well"
        ),
    ),
)
