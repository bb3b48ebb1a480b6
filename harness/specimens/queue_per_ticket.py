"""One at a time for each ticket type, in the order of a queue in the process's memory; then look and write.

Right as long as there is one process: with a second one, there are two queues. The wait is not in the
database, so no engine can see who waits for whom there: requests that wait outside Postgres keep a search
from calling anything exhausted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
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


class QueuePerTicket(Shop):
    """See the module."""

    name = "queue_per_ticket"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        """One for each ticket type that somebody is being served or waits for."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Wait for my turn, then decide."""
        queue = self._queues.setdefault(ticket.id, asyncio.Lock())
        async with queue, db.transaction():
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(name="queue_per_ticket", doc=__doc__ or "", target=QueuePerTicket())
