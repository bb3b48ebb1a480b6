"""Stock is spread over four counters; each buyer has one of them, and it is sold out when that one is empty.

Every decrement has its guard, and nothing is oversold. But the buyers are not spread as evenly as the
tickets are. Somebody is told that it is sold out while three counters have some left. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shards import SHARDS, ShardedShop, shard_of, take_from_shard
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class ShardEmptySoldOut(ShardedShop):
    """See the module."""

    name = "shard_empty_sold_out"
    constraints = ONE_PER_PERSON + SHARDS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Decrement mine, if there is enough on it."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take_from_shard(db, ticket, shard_of(operation.person), operation.quantity):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="shard_empty_sold_out",
    doc=__doc__ or "",
    target=ShardEmptySoldOut(),
    mistake=Mistake(
        laws=frozenset({"no_refusal_while_stock_remained"}),
        scenario="enough_for_everybody",
        engine="burst",
        source=(
            "slotted counters without a look at the other slots: the counter pattern of high-traffic "
            "systems, half done"
        ),
    ),
)
