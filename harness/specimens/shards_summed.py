"""Stock is spread over four counters; add them up, and if that is enough, decrement my own.

Four counters are four rows to wait for instead of one. The sum says whether there is anything left, and a
counter may well go below zero as long as the sum does not. But the sum is read and not locked, and two
buyers may both see the last one in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shards import SHARDS, ShardedShop, shard_of
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class ShardsSummed(ShardedShop):
    """See the module."""

    name = "shards_summed"
    constraints = ONE_PER_PERSON + SHARDS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Add up; decrement mine."""
        async with db.transaction():
            left = await db.fetchval("SELECT sum(available) FROM shards WHERE ticket_id = $1", ticket.id)
            if left < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute(
                "UPDATE shards SET available = available - $3 WHERE ticket_id = $1 AND number = $2",
                ticket.id,
                shard_of(operation.person),
                operation.quantity,
            )
            return answer


SPECIMEN = Specimen(
    name="shards_summed",
    doc=__doc__ or "",
    target=ShardsSummed(),
    mistake=Mistake(
        laws=frozenset({"never_negative", "no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="write skew: Berenson et al., SIGMOD 1995, A5B, over the counters of one sum",
    ),
)
