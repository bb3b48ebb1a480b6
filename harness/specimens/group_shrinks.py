"""A group gets as many seats as there are, and the answer says that it was booked.

LEAST keeps the counter from going below zero, and the last seats are not wasted. But three were asked for,
three were confirmed, and the row says one. Two people travel for nothing. No race is needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class GroupShrinks(Shop):
    """See the module."""

    name = "group_shrinks"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take what can be had."""
        async with db.transaction():
            available = await db.fetchval(
                "SELECT quantity_available FROM tickets WHERE id = $1 FOR NO KEY UPDATE", ticket.id
            )
            granted = replace(operation, quantity=min(available, operation.quantity))
            if granted.quantity == 0:
                return SOLD_OUT
            await give_back(db, ticket, -granted.quantity)
            return await insert_rsvp(db, ticket, granted)


SPECIMEN = Specimen(
    name="group_shrinks",
    doc=__doc__ or "",
    target=GroupShrinks(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once"}),
        scenario="groups",
        engine="burst",
        source="partial fulfilment that is not told to the buyer",
    ),
)
