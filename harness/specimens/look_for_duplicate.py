"""The stock is taken rightly, in one transaction with the insert; a second RSVP is looked for beforehand.

The decrement carries its own check and is undone with the rest, so nothing is oversold and nothing leaks.
But no unique key stands behind the look. One person with two tabs looks twice, finds nothing twice, and
then queues twice for the row of the ticket, in good order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, Ticket, has_rsvp, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class LookForDuplicate(Shop):
    """See the module."""

    name = "look_for_duplicate"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, take, insert."""
        async with db.transaction():
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if not await take(db, ticket, operation):
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="look_for_duplicate",
    doc=__doc__ or "",
    target=LookForDuplicate(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="same_person_twice",
        engine="explore",
        source="Rails guide, validates uniqueness: the look and the insert are two moments",
    ),
)
