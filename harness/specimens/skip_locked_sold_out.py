"""A pool of seats; take the first free ones with SKIP LOCKED, and answer "sold out" when there are none.

Nobody waits for anybody, and no seat is sold twice. But a seat that is locked is not a seat that is sold.
Whoever holds it may still be refused for another reason and let go of it; who asked in that moment was told
something untrue, and has gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._seats import FREE_SEATS, SEAT_ROWS, SEATS, free_seats, give_seats
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Returned, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class SkipLockedSoldOut(Shop):
    """See the module."""

    name = "skip_locked_sold_out"
    constraints = ONE_PER_PERSON + SEATS
    available = FREE_SEATS
    stock_rows = (SEAT_ROWS,)

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take what is free and not locked, then write the RSVP."""
        async with db.transaction():
            seats = await db.fetch(
                "SELECT id FROM seats WHERE ticket_id = $1 AND rsvp_id IS NULL"
                " ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
                ticket.id,
                operation.quantity,
            )
            if len(seats) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_seats(db, answer, seats)
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the seats."""
        await free_seats(db, returned)


SPECIMEN = Specimen(
    name="skip_locked_sold_out",
    doc=__doc__ or "",
    target=SkipLockedSoldOut(),
    mistake=Mistake(
        laws=frozenset({"no_refusal_while_stock_remained"}),
        scenario="several_ticket_types",
        engine="explore",
        source="PostgreSQL manual, SELECT: SKIP LOCKED provides an inconsistent view of the data",
    ),
)
