"""Advisory locks are taken on one connection that the application keeps for them, so that none is held up.

A lock that somebody waits for occupies a connection, and there are few; so all locks are taken on a
connection of their own. But advisory locks are a session's, and a session may take the same lock as often
as it likes. On one connection nobody ever waits for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from harness.postgres import connect
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, read_counter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class LockOnSharedSession(Shop):
    """See the module."""

    name = "lock_on_shared_session"
    constraints = ONE_PER_PERSON

    def __init__(self, locks: asyncpg.Connection | None = None) -> None:
        self._locks = locks
        self._turn = asyncio.Lock()
        """A connection does one thing at a time."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock; look and write; unlock."""
        await self._ask("SELECT pg_advisory_lock($1)", ticket)
        try:
            async with db.transaction():
                if await read_counter(db, ticket) < operation.quantity:
                    return SOLD_OUT
                answer = await insert_rsvp(db, ticket, operation)
                await give_back(db, ticket, -operation.quantity)
                return answer
        finally:
            await self._ask("SELECT pg_advisory_unlock($1)", ticket)

    @contextlib.asynccontextmanager
    async def equipped(self, database: str) -> AsyncIterator[Shop]:
        """Open the connection for locks."""
        locks = await connect(database)
        try:
            yield LockOnSharedSession(locks)
        finally:
            locks.terminate()

    async def _ask(self, query: str, ticket: Ticket) -> None:
        if self._locks is None:
            raise AssertionError("it was started without its connection")
        async with self._turn:
            await self._locks.execute(query, ticket.id)


SPECIMEN = Specimen(
    name="lock_on_shared_session",
    doc=__doc__ or "",
    target=LockOnSharedSession(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.3.5 Advisory Locks: a lock can be acquired multiple times by its "
            "owning process"
        ),
    ),
)
