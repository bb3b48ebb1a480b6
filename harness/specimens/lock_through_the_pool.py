"""Take an advisory lock, look and write, and unlock: with the lock taken through the pool, in one line.

The lock belongs to a session, and the session goes back to the pool when the line is done, which resets it
for whoever comes next; that unlocks. The work is done on another connection, and the unlock, on a third
perhaps, warns of a lock that is not owned. Nobody reads warnings.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, read_counter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class LockThroughThePool(Shop):
    """See the module."""

    name = "lock_through_the_pool"
    constraints = ONE_PER_PERSON

    def __init__(self, locks: asyncpg.Pool | None = None) -> None:
        self._locks = locks

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock; look and write; unlock."""
        if self._locks is None:
            raise AssertionError("it was started without its pool")
        await self._locks.execute("SELECT pg_advisory_lock($1)", ticket.id)
        try:
            async with db.transaction():
                if await read_counter(db, ticket) < operation.quantity:
                    return SOLD_OUT
                answer = await insert_rsvp(db, ticket, operation)
                await give_back(db, ticket, -operation.quantity)
                return answer
        finally:
            await self._locks.execute("SELECT pg_advisory_unlock($1)", ticket.id)

    @contextlib.asynccontextmanager
    async def equipped(self, database: str) -> AsyncIterator[Shop]:
        """Open the pool."""
        pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
        try:
            yield LockThroughThePool(pool)
        finally:
            pool.terminate()


SPECIMEN = Specimen(
    name="lock_through_the_pool",
    doc=__doc__ or "",
    target=LockThroughThePool(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="authentik, issue 23876: a session-level advisory lock behind a connection pool",
    ),
)
