"""An advisory lock on the person, around everything that the person does.

It stops what it was brought in for: one person with two tabs gets one RSVP. For the stock it does nothing,
because two different people hold two different locks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import (
    DUPLICATE,
    SOLD_OUT,
    Ticket,
    give_back,
    has_rsvp,
    insert_rsvp,
    read_counter,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class AdvisoryLockPerPerson(Shop):
    """See the module."""

    name = "advisory_lock_per_person"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock the person; look, take, insert."""
        await db.execute("SELECT pg_advisory_lock(hashtext($1))", operation.person)
        try:
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            await give_back(db, ticket, -operation.quantity)
            return await insert_rsvp(db, ticket, operation)
        finally:
            await db.execute("SELECT pg_advisory_unlock(hashtext($1))", operation.person)


SPECIMEN = Specimen(
    name="advisory_lock_per_person",
    doc=__doc__ or "",
    target=AdvisoryLockPerPerson(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="a lock keyed by the wrong thing: CWE-667",
    ),
)
