"""Read what remains; then insert and write in a REPEATABLE READ transaction, which is tried again as needed.

The isolation level refuses to write over what somebody else has changed in the meantime, and whoever is
refused tries again. But what remains was read before, once, and the second attempt writes the same number
as the first: in a transaction that is new, so nothing has changed in its meantime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, insert_rsvp, read_counter

if TYPE_CHECKING:
    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class StaleRetry(Shop):
    """See the module."""

    name = "stale_retry"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Read; then insert and write until nobody is in between."""
        left = await read_counter(db, ticket) - operation.quantity
        if left < 0:
            return SOLD_OUT
        while True:
            try:
                async with db.transaction(isolation="repeatable_read"):
                    answer = await insert_rsvp(db, ticket, operation)
                    await db.execute(
                        "UPDATE tickets SET quantity_available = $2 WHERE id = $1", ticket.id, left
                    )
                    return answer
            except asyncpg.SerializationError:
                continue


SPECIMEN = Specimen(
    name="stale_retry",
    doc=__doc__ or "",
    target=StaleRetry(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.5.1 Serialization Failure Handling: retry the complete transaction, "
            "including all logic that decides"
        ),
    ),
)
