"""Check that some are left, then write back one less: two statements, each committed by itself.

A lost update. Everybody who reads the same number writes the same number, so that many are sold and one is
taken off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, Ticket, has_rsvp, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class CheckThenDecrement(Shop):
    """See the module."""

    name = "check_then_decrement"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, compute, write."""
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        available = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
        if available < operation.quantity:
            return SOLD_OUT
        await db.execute(
            "UPDATE tickets SET quantity_available = $2 WHERE id = $1",
            ticket.id,
            available - operation.quantity,
        )
        return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="check_then_decrement",
    doc=__doc__ or "",
    target=CheckThenDecrement(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="the lost update of the literature: Berenson et al., SIGMOD 1995, phenomenon P4",
    ),
)
