"""Lock the ticket with NOWAIT so that nobody hangs, and answer "sold out" when somebody else has it.

The page is fast under any load, and nothing is oversold. It is fast because whoever meets another buyer is
sent away, with an answer that is not true: the other one takes one ticket, and there may be a thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve


class NowaitSoldOut(Shop):
    """See the module."""

    name = "nowait_sold_out"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock or give up."""
        try:
            async with db.transaction():
                available = await db.fetchval(
                    "SELECT quantity_available FROM tickets WHERE id = $1 FOR UPDATE NOWAIT", ticket.id
                )
                if available < operation.quantity:
                    return SOLD_OUT
                await give_back(db, ticket, -operation.quantity)
                return await insert_rsvp(db, ticket, operation)
        except asyncpg.LockNotAvailableError:
            return SOLD_OUT


SPECIMEN = Specimen(
    name="nowait_sold_out",
    doc=__doc__ or "",
    target=NowaitSoldOut(),
    mistake=Mistake(
        laws=frozenset({"no_refusal_while_stock_remained"}),
        scenario="enough_for_everybody",
        engine="explore",
        source=(
            "PostgreSQL manual, SELECT: NOWAIT reports an error rather than waiting; error 55P03 "
            "says nothing about stock"
        ),
    ),
)
