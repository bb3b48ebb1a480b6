"""A box office that tells by itself, in the transaction of every change, how many units remain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._box_office import SELLING, BoxOffice, refusal_for
from harness.specimens._statements import SOLD_OUT, insert_rsvp, read_counter, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


class TellingOffice(BoxOffice):
    """Sells, cancels and tells; no trigger does it for those who forget."""

    supports = SELLING | {Feature.NOTICES}

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, take, insert, tell."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, [operation.person]):
                return refusal
            if not await take(db, ticket, operation):
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await tell(db, ticket, await read_counter(db, ticket))
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again, and tell."""
        await super().restock(db, returned)
        await tell(db, returned.ticket, await read_counter(db, returned.ticket))


async def tell(db: asyncpg.Connection, ticket: Ticket, available: int) -> None:
    """Send a notice: at once, or with the commit when in a transaction."""
    await db.execute(
        "SELECT pg_notify('ticket_availability', $1)",
        json.dumps({"ticket": ticket.id, "available": available}),
    )
