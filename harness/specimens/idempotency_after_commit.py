"""Look whether the request was served before; if not, serve it, and write its key down when that is done.

The key keeps a second click, or a retry, from buying twice. It is written when the purchase is committed,
because only then there is something to remember. Until then a second click finds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import DUPLICATE, SOLD_OUT, has_rsvp, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve
    from harness.specimens._statements import Ticket


class IdempotencyAfterCommit(Shop):
    """See the module."""

    name = "idempotency_after_commit"
    constraints = "CREATE TABLE requests (key text PRIMARY KEY, rsvp_id bigint NOT NULL);"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look; serve; remember."""
        key = f"{ticket.id}/{operation.person}"
        served = await db.fetchval("SELECT rsvp_id FROM requests WHERE key = $1", key)
        if served is not None:
            return Answer(Outcome.ACCEPTED, reservation=str(served))
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        async with db.transaction():
            if not await take(db, ticket, operation):
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
        await db.execute(
            "INSERT INTO requests (key, rsvp_id) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
            key,
            int(answer.reservation or 0),
        )
        return answer


SPECIMEN = Specimen(
    name="idempotency_after_commit",
    doc=__doc__ or "",
    target=IdempotencyAfterCommit(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="same_person_twice",
        engine="explore",
        source=(
            "Leach, Implementing Stripe-like Idempotency Keys in Postgres, 2017: the key and its effect "
            "belong into one transaction"
        ),
    ),
)
