"""When the connection is lost, connect again and do the purchase once more.

It is what one does: the connection was lost, the purchase was not made, the buyer should not notice. But it
may have been made. The answer to the COMMIT was what got lost, and the second attempt is a second ticket.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

from harness.postgres import connect, is_connection_lost
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, has_rsvp, insert_rsvp, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class RetryWithoutKey(Shop):
    """See the module."""

    name = "retry_without_key"

    def __init__(self, database: str = "") -> None:
        self._database = database

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Try; if the connection is lost, try on a new one."""
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        try:
            return await _attempt(db, ticket, operation)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if not is_connection_lost(error):
                raise
        again = await connect(self._database)
        try:
            return await _attempt(again, ticket, operation)
        finally:
            again.terminate()

    @contextlib.asynccontextmanager
    async def equipped(self, database: str) -> AsyncIterator[Shop]:
        """Know where to connect again."""
        yield RetryWithoutKey(database)


async def _attempt(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    async with db.transaction():
        if not await take(db, ticket, operation):
            return SOLD_OUT
        return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="retry_without_key",
    doc=__doc__ or "",
    target=RetryWithoutKey(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="enough_for_everybody",
        engine="faults",
        source=(
            "Helland, Idempotence Is Not a Medical Condition, ACM Queue 2012: a retry of what may have "
            "happened"
        ),
    ),
)
