"""SERIALIZABLE, and the serialization failure is caught, logged, and followed by the answer made before.

The isolation level is the right one, and the books are never wrong. But a serialization failure is not a
warning: it says that nothing has happened and that the transaction is to be run again. The handler was
written for a log full of "could not serialize access", and the log is quiet now.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve

_log = logging.getLogger(__name__)


class SwallowedSerialization(ShopOfRows):
    """See the module."""

    name = "swallowed_serialization"
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Count and insert, and do not let an error through."""
        answer = SOLD_OUT
        try:
            async with db.transaction(isolation="serializable"):
                if await count_left(db, ticket) >= operation.quantity:
                    answer = await insert_rsvp(db, ticket, operation)
        except asyncpg.SerializationError as error:
            _log.debug("ignored: %s", error)
        return answer


SPECIMEN = Specimen(
    name="swallowed_serialization",
    doc=__doc__ or "",
    target=SwallowedSerialization(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once"}),
        scenario="last_ticket",
        engine="explore",
        source=(
            "PostgreSQL manual, 13.5 Serialization Failure Handling: the whole transaction is to be retried"
        ),
    ),
)
