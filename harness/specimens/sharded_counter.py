"""Stock is spread over four counters; each buyer tries their own, and locks all of them when it is empty.

As long as every counter has some, buyers of different counters do not wait for each other. When one is
empty, all are locked, in order, and what is missing is taken wherever it is; only then it can be said that
it is sold out, since nobody moves meanwhile. Right.

An UPDATE that waited for a row, and then found that it no longer matches, keeps that row locked all the same.
So the first try is made under a savepoint, whose undoing lets go of it; else two buyers of two empty counters
would each hold one and wait for the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shards import SHARDS, ShardedShop, shard_of, take_from_all, take_from_shard
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class ShardedCounter(ShardedShop):
    """See the module."""

    name = "sharded_counter"
    constraints = ONE_PER_PERSON + SHARDS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; take from mine, else from all."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not (
                await _take_from_mine(db, ticket, operation)
                or await take_from_all(db, ticket, operation.quantity)
            ):
                raise NoneLeftError
            return answer


async def _take_from_mine(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> bool:
    """Take from the person's own counter, or leave it as unlocked as it was."""
    try:
        async with db.transaction():
            if not await take_from_shard(db, ticket, shard_of(operation.person), operation.quantity):
                raise NoneLeftError
    except NoneLeftError:
        return False
    return True


SPECIMEN = Specimen(name="sharded_counter", doc=__doc__ or "", target=ShardedCounter())
