"""Guarded decrement and insert in one transaction, with a unique key against a second RSVP.

The decrement carries its own check, so nothing is read that could go stale; the insert is undone together
with it; and one RSVP per person is the database's promise. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import DUPLICATE, ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp, take

if TYPE_CHECKING:
    from harness.model import Answer, Reserve


class Atomic(Shop):
    """See the module."""

    name = "atomic"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert first: who is refused as a duplicate must not take a unit even for a moment."""
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                if not await take(db, ticket, operation):
                    raise _NoneLeftError
                return answer
        except _NoneLeftError:
            return SOLD_OUT
        except asyncpg.UniqueViolationError:
            return DUPLICATE


class _NoneLeftError(Exception):
    """Undoes the insert."""


SPECIMEN = Specimen(name="atomic", doc=__doc__ or "", target=Atomic())
