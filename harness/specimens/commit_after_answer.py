"""The answer is made within the transaction and goes out; the COMMIT is left to what runs after the response.

Frameworks offer it: a session that is opened for a request and committed in its tear-down, once the
response has been sent. Whatever the database only says at COMMIT, nobody is told any more. Here the
transaction is SERIALIZABLE, which would be right, and its COMMIT fails for all but one of those who took
the last ticket. They have their confirmation all the same.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, count_left, insert_rsvp

if TYPE_CHECKING:
    from asyncpg.transaction import Transaction

    from harness.model import Answer, Cancel, Reserve

_log = logging.getLogger(__name__)


class CommitAfterAnswer(ShopOfRows):
    """See the module."""

    name = "commit_after_answer"
    constraints = ONE_PER_PERSON

    def __init__(self) -> None:
        self._ending: dict[asyncpg.Connection, asyncio.Task[None]] = {}
        """The tear-down of the last request of each connection."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Answer, and have the transaction ended afterwards."""
        await self._previous(db)
        transaction = db.transaction(isolation="serializable")
        await transaction.start()
        try:
            if await count_left(db, ticket) < operation.quantity:
                answer = SOLD_OUT
            else:
                answer = await insert_rsvp(db, ticket, operation)
        except Exception:
            await transaction.rollback()
            raise
        self._ending[db] = asyncio.create_task(_tear_down(transaction))
        return answer

    async def cancel(self, db: asyncpg.Connection, ticket: Ticket, operation: Cancel) -> Answer:
        """Cancel once the request before has been torn down."""
        await self._previous(db)
        return await super().cancel(db, ticket, operation)

    async def _previous(self, db: asyncpg.Connection) -> None:
        ending = self._ending.pop(db, None)
        if ending is not None:
            await ending


async def _tear_down(transaction: Transaction) -> None:
    try:
        await transaction.commit()
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _log.debug("commit failed: %s", error)


SPECIMEN = Specimen(
    name="commit_after_answer",
    doc=__doc__ or "",
    target=CommitAfterAnswer(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once"}),
        scenario="last_ticket",
        engine="burst",
        source=(
            "FastAPI before 0.106 and since 0.118: what follows the yield of a dependency runs once "
            "the response was sent"
        ),
    ),
)
