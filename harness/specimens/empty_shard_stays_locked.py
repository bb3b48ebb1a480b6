"""Stock is spread over four counters; each buyer tries their own, and locks all of them when it is empty.

All are locked in order, and so nobody waits in a circle, it seems. But an UPDATE that waited for a row, and
then found that it no longer matches, has changed nothing and keeps the row locked all the same. Whoever saw
their own counter go to somebody else holds it while asking for the first, which is held by another one who
asks for it. That takes two buyers of one counter and a third of an empty one, and so a crowd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shards import SHARDS, ShardedShop, shard_of, take_from_all, take_from_shard
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class EmptyShardStaysLocked(ShardedShop):
    """See the module."""

    name = "empty_shard_stays_locked"
    constraints = ONE_PER_PERSON + SHARDS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; take from mine, else from all."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            mine = shard_of(operation.person)
            if not (
                await take_from_shard(db, ticket, mine, operation.quantity)
                or await take_from_all(db, ticket, operation.quantity)
            ):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="empty_shard_stays_locked",
    doc=__doc__ or "",
    target=EmptyShardStaysLocked(),
    mistake=Mistake(
        laws=frozenset({"no_deadlock"}),
        scenario="availability_during_rush",
        engine="burst",
        source=(
            "PostgreSQL manual, 13.2.1 Read Committed: who waited for a row evaluates the WHERE clause again"
        ),
    ),
)
