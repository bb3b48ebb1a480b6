"""A box office that keeps its statistics in a table, and counts in the transaction of every sale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import SELLING, BoxOffice, sell

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve
    from harness.specimens._statements import Returned, Ticket

SALES = """
    CREATE TABLE sales (
        ticket_id bigint PRIMARY KEY REFERENCES tickets,
        sold integer NOT NULL
    );
"""


class CountingOffice(BoxOffice):
    """Sells, cancels and counts."""

    supports = SELLING | {Feature.SALES}
    constraints = BoxOffice.constraints + SALES

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Sell; count."""
        async with self.transaction(db, ticket):
            answer = await sell(db, ticket, operation)
            if answer.outcome is Outcome.ACCEPTED:
                await count_sale(db, ticket, operation.quantity)
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again, and count it off."""
        await super().restock(db, returned)
        await count_sale(db, returned.ticket, -returned.quantity)

    async def sales(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Say what the table says."""
        return Answer(Outcome.ACCEPTED, sold=await read_sales(db, ticket))


async def count_sale(db: asyncpg.Connection, ticket: Ticket, quantity: int) -> None:
    """Add to what is sold, in one statement."""
    await db.execute(
        "INSERT INTO sales (ticket_id, sold) VALUES ($1, $2)"
        " ON CONFLICT (ticket_id) DO UPDATE SET sold = sales.sold + excluded.sold",
        ticket.id,
        quantity,
    )


async def read_sales(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Read what is sold, as the table says."""
    sold: int = await db.fetchval(
        "SELECT coalesce((SELECT sold FROM sales WHERE ticket_id = $1), 0)", ticket.id
    )
    return sold
