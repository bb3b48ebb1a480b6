"""Read how many were sold, compare with the quantity, and write the number back, in one transaction.

A transaction makes the statements happen together or not at all; under READ COMMITTED it does not keep
others from reading the same number in between. So two buyers both read 0, both write 1, and both hold the
last ticket. It looks right because there is a BEGIN and a COMMIT around it, and because the counter itself
never exceeds the quantity: only whoever counts the rows sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Returned, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class SoldCounter(Shop):
    """See the module."""

    name = "sold_counter"
    constraints = "ALTER TABLE tickets ADD sold integer NOT NULL DEFAULT 0;" + ONE_PER_PERSON
    available = "(t.quantity_initial - t.sold)"
    sold = "t.sold"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Read, compute, write."""
        async with db.transaction():
            row = await db.fetchrow("SELECT quantity_initial, sold FROM tickets WHERE id = $1", ticket.id)
            sold = row["sold"] + operation.quantity
            if sold > row["quantity_initial"]:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute("UPDATE tickets SET sold = $2 WHERE id = $1", ticket.id, sold)
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Count it as sold no more."""
        await db.execute(
            "UPDATE tickets SET sold = sold - $2 WHERE id = $1", returned.ticket.id, returned.quantity
        )


SPECIMEN = Specimen(
    name="sold_counter",
    doc=__doc__ or "",
    target=SoldCounter(),
    mistake=Mistake(
        laws=frozenset({"counters_agree_with_rows", "no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="lost update: Berenson et al., SIGMOD 1995, phenomenon P4",
    ),
)
