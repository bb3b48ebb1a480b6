"""Take a lock that is a row with a name and a time, look and write, and give the lock back.

The time is there because a process may die with the lock in its hand, and then somebody else may take it.
But a process may also pause, for a garbage collection or a slow disk, and go on afterwards as if it still
had the lock. What it writes carries no sign of which lock it was written under.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, read_counter

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


_LOCKS = """
    CREATE TABLE locks (
        ticket_id bigint PRIMARY KEY,
        owner uuid NOT NULL,
        locked_until timestamptz NOT NULL
    );
"""
_PAUSE = 0.02
"""Seconds between two tries to get the lock."""


class LockWithTimeOut(Shop):
    """See the module."""

    name = "lock_with_time_out"
    constraints = ONE_PER_PERSON + _LOCKS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock; look; write; unlock."""
        owner = uuid4()
        while not await _lock(db, ticket, owner):  # noqa: ASYNC110  # other processes set no event here
            await asyncio.sleep(_PAUSE)
        try:
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                await give_back(db, ticket, -operation.quantity)
            return answer
        finally:
            await db.execute("DELETE FROM locks WHERE ticket_id = $1 AND owner = $2", ticket.id, owner)


async def _lock(db: asyncpg.Connection, ticket: Ticket, owner: UUID) -> bool:
    mine = await db.fetchval(
        "INSERT INTO locks (ticket_id, owner, locked_until)"
        " VALUES ($1, $2, clock_timestamp() + interval '5 seconds')"
        " ON CONFLICT (ticket_id) DO UPDATE SET owner = excluded.owner, locked_until = excluded.locked_until"
        " WHERE locks.locked_until < clock_timestamp() RETURNING owner",
        ticket.id,
        owner,
    )
    return mine is not None


SPECIMEN = Specimen(
    name="lock_with_time_out",
    doc=__doc__ or "",
    target=LockWithTimeOut(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="faults",
        source=(
            "Kleppmann, How to do distributed locking, 2016: the client that pauses while it holds a lease"
        ),
    ),
)
