"""One at a time for each ticket type, in the order of a queue in the worker's memory; there are two workers.

It was right with one process, and was tested with one. In production a second one runs, with a queue of its
own, and the two know nothing of each other.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


_WORKERS = 2


class QueuePerWorker(Shop):
    """See the module."""

    name = "queue_per_worker"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self._worker: WeakKeyDictionary[asyncpg.Connection, int] = WeakKeyDictionary()
        """Which worker a connection belongs to: they come to one after the other in turn."""
        self._workers = itertools.cycle(range(_WORKERS))
        self._queues: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Wait for my turn, then decide."""
        worker = self._worker.setdefault(db, next(self._workers))
        queue = self._queues.setdefault((worker, ticket.id), asyncio.Lock())
        async with queue, db.transaction():
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(
    name="queue_per_worker",
    doc=__doc__ or "",
    target=QueuePerWorker(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="a mutex of one process in front of a resource of several: CWE-667, improper locking",
    ),
)
