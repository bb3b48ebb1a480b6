"""SERIALIZABLE, the whole run again after each serialization failure, and the answer given after COMMIT.

Count and insert need no lock at this level: when two cannot be put into an order, Postgres ends one of them
with error 40001, at COMMIT at the latest. That one has not happened, so it may be run again, from the first
look on. Who is refused too often is told to come again, and never anything else.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Specimen
from harness.specimens._statements import (
    DUPLICATE,
    ONE_PER_PERSON,
    SOLD_OUT,
    Ticket,
    count_left,
    has_rsvp,
    insert_rsvp,
)

if TYPE_CHECKING:
    from harness.model import Answer, Reserve

_ATTEMPTS = 100


class SerializableRetry(ShopOfRows):
    """See the module."""

    name = "serializable_retry"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Try until it goes through."""
        for _ in range(_ATTEMPTS - 1):
            with contextlib.suppress(asyncpg.SerializationError):
                return await self._attempt(db, ticket, operation)
        return await self._attempt(db, ticket, operation)

    async def _attempt(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction(isolation="serializable"):
            if await has_rsvp(db, ticket, operation):
                return DUPLICATE
            if await count_left(db, ticket) < operation.quantity:
                return SOLD_OUT
            return await insert_rsvp(db, ticket, operation)


SPECIMEN = Specimen(name="serializable_retry", doc=__doc__ or "", target=SerializableRetry())
