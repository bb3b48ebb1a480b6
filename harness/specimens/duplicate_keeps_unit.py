"""Take a unit, then insert the RSVP; a unique key refuses a second one of the same person.

The key does its work, and the person is told that they have an RSVP already. The unit was taken before, in a
statement of its own, and stays taken: every second click costs a ticket. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, ONE_PER_PERSON, SOLD_OUT, insert_rsvp, take

if TYPE_CHECKING:
    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class DuplicateKeepsUnit(Shop):
    """See the module."""

    name = "duplicate_keeps_unit"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take; insert."""
        if not await take(db, ticket, operation):
            return SOLD_OUT
        try:
            return await insert_rsvp(db, ticket, operation)
        except asyncpg.UniqueViolationError:
            return DUPLICATE


SPECIMEN = Specimen(
    name="duplicate_keeps_unit",
    doc=__doc__ or "",
    target=DuplicateKeepsUnit(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="same_person_twice",
        engine="burst",
        source="incomplete cleanup: CWE-459",
    ),
)
