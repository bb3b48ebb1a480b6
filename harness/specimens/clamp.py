"""GREATEST(quantity_available - 1, 0): the counter can never go below zero.

It was put there because a negative number had been seen on a page. Now none is ever seen, and nothing
refuses either: the counter stays at zero and the sale goes on. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class Clamp(Shop):
    """See the module."""

    name = "clamp"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert and decrement, as far down as zero."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute(
                "UPDATE tickets SET quantity_available = GREATEST(quantity_available - $2, 0) WHERE id = $1",
                ticket.id,
                operation.quantity,
            )
            return answer


SPECIMEN = Specimen(
    name="clamp",
    doc=__doc__ or "",
    target=Clamp(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="burst",
        source="the symptom was mended: a check that hides what it was to prevent",
    ),
)
