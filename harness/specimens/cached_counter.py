"""What remains is kept in memory for some seconds, so that the database is not asked for every page.

The look is only there to be quick; the decrement is what counts, and it is done in the database. But it is
done without a guard, because the look has said that there are some. For as long as the cache lives it says
so to everybody.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import (
    ONE_PER_PERSON,
    SOLD_OUT,
    Ticket,
    give_back,
    insert_rsvp,
    read_counter,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve

_SECONDS = 5.0
"""How long a number is good for."""


class CachedCounter(Shop):
    """See the module."""

    name = "cached_counter"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self._cache: dict[int, tuple[float, int]] = {}
        """When each ticket's number was read, and the number."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look into the cache, then decrement."""
        if await self._remaining(db, ticket) < operation.quantity:
            return SOLD_OUT
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer

    async def _remaining(self, db: asyncpg.Connection, ticket: Ticket) -> int:
        read, remaining = self._cache.get(ticket.id, (-_SECONDS, 0))
        if time.monotonic() - read >= _SECONDS:
            remaining = await read_counter(db, ticket)
            self._cache[ticket.id] = time.monotonic(), remaining
        return remaining


SPECIMEN = Specimen(
    name="cached_counter",
    doc=__doc__ or "",
    target=CachedCounter(),
    mistake=Mistake(
        laws=frozenset({"never_negative", "no_oversell"}),
        scenario="last_ticket",
        engine="burst",
        source="stale reads: a cache in front of the source of truth, used for a decision",
    ),
)
