"""The published fix, statement by statement, each committed by itself.

Look for an existing RSVP, decrement with a guard in one statement, insert the RSVP, and increment again if
the insert failed. The counter never goes below zero, and nobody gets a ticket that is not there. But the
look and the insert are two moments, so one person gets in several times; and between decrement and insert
a buyer who goes away leaves a unit behind that nobody will ever sell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, Ticket, give_back, has_rsvp, insert_rsvp, take

if TYPE_CHECKING:
    from harness.model import Answer, Reserve


class Compensating(Shop):
    """See the module."""

    name = "compensating"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, decrement, insert; increment when the insert failed."""
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        if not await take(db, ticket, operation):
            return SOLD_OUT
        try:
            return await insert_rsvp(db, ticket, operation)
        except asyncpg.PostgresError:
            await give_back(db, ticket, operation.quantity)
            raise


SPECIMEN = Specimen(
    name="compensating",
    doc=__doc__ or "",
    target=Compensating(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="same_person_twice",
        engine="explore",
        source="the story: 'Atomic Operation Flow' of the published fix",
    ),
)
