"""A box office that tells by itself, in the transaction of every change, how many units remain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.model import Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice, sell
from harness.specimens._statements import read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


class TellingOffice(BoxOffice):
    """Sells, cancels and tells; no trigger does it for those who forget."""

    supports = SELLING | {Feature.NOTICES}

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell; tell."""
        async with self.transaction(db, ticket):
            answer = await sell(db, ticket, operation)
            if answer.outcome is Outcome.ACCEPTED:
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
