"""A counter in memory decides, atomically; the table gets the number that came out, with the RSVP.

The memory is fast, and its decrement is atomic: every buyer gets another number, and nobody gets one below
zero. But the numbers are written into the table by transactions that overtake each other, and the one that
is written last need not be the smallest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, ONE_PER_PERSON, SOLD_OUT, insert_rsvp, read_counter

if TYPE_CHECKING:
    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


class MirrorOutOfOrder(Shop):
    """See the module."""

    name = "mirror_out_of_order"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        """What is left of each ticket type: the counter that decides."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Count down; insert, and mirror the number."""
        await self._load(db, ticket)
        left = self._add(ticket, -operation.quantity)
        if left < 0:
            self._add(ticket, operation.quantity)
            return SOLD_OUT
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                await _mirror(db, ticket, left)
                return answer
        except asyncpg.UniqueViolationError:
            self._add(ticket, operation.quantity)
            return DUPLICATE

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Count up, and mirror the number."""
        await self._load(db, returned.ticket)
        await _mirror(db, returned.ticket, self._add(returned.ticket, returned.quantity))

    async def _load(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        if ticket.id not in self._left:
            self._left.setdefault(ticket.id, await read_counter(db, ticket))

    def _add(self, ticket: Ticket, quantity: int) -> int:
        self._left[ticket.id] += quantity
        return self._left[ticket.id]


async def _mirror(db: asyncpg.Connection, ticket: Ticket, left: int) -> None:
    await db.execute("UPDATE tickets SET quantity_available = $2 WHERE id = $1", ticket.id, left)


SPECIMEN = Specimen(
    name="mirror_out_of_order",
    doc=__doc__ or "",
    target=MirrorOutOfOrder(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="enough_for_everybody",
        engine="explore",
        source=(
            "the race of two stores written in different orders: Kleppmann, Designing Data-Intensive "
            "Applications, ch. 11"
        ),
    ),
)
