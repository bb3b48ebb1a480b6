"""Decrement without looking; a CHECK constraint refuses what would go below zero.

The rule is the database's own and holds whoever writes. The update waits for the row, works on what is
committed then, and its violation means one thing only: that there is not enough left. The RSVP is inserted
before, and undone with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve


class CheckConstraint(Shop):
    """See the module."""

    name = "check_constraint"
    constraints = (
        "ALTER TABLE tickets ADD CONSTRAINT enough_left CHECK (quantity_available >= 0);" + ONE_PER_PERSON
    )

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert and decrement; the constraint objects."""
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                await give_back(db, ticket, -operation.quantity)
                return answer
        except asyncpg.CheckViolationError:
            return SOLD_OUT


SPECIMEN = Specimen(name="check_constraint", doc=__doc__ or "", target=CheckConstraint())
