"""A group is booked seat by seat, each taken rightly and at once, until all are taken or none is left.

Every single decrement is atomic, so nothing is oversold. All of them together are not: who finds two of
three has taken two when the answer is "sold out", and nobody gives them back. In a rush for the last rows
several groups can take them all, and none gets any.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import (
    DUPLICATE,
    ONE_PER_PERSON,
    SOLD_OUT,
    Ticket,
    has_rsvp,
    insert_rsvp,
    take,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class GroupInSingles(Shop):
    """See the module."""

    name = "group_in_singles"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take one at a time, then write the RSVP."""
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        for _ in range(operation.quantity):
            if not await take(db, ticket, replace(operation, quantity=1)):
                return SOLD_OUT
        return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(
    name="group_in_singles",
    doc=__doc__ or "",
    target=GroupInSingles(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="groups",
        engine="burst",
        source="atomic steps do not make an atomic whole: Gray 1981, The Transaction Concept",
    ),
)
