"""A row for every seat; the first free ones are locked, in order, and given to the RSVP.

Each seat is a row that can belong to one RSVP. Who wants one waits for whoever is at it, and goes on to the
next one if it was taken: the condition is looked at again after the wait. Everybody inserts the RSVP first
and locks seats from the front, so nobody waits in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._seats import FREE_SEATS, SEAT_ROWS, SEATS, free_seats, give_seats
from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Returned, Ticket, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class SeatRows(Shop):
    """See the module."""

    name = "seat_rows"
    constraints = ONE_PER_PERSON + SEATS
    available = FREE_SEATS
    stock_rows = (SEAT_ROWS,)

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; lock seats; write the RSVP on them."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            seats = await db.fetch(
                "SELECT id FROM seats WHERE ticket_id = $1 AND rsvp_id IS NULL"
                " ORDER BY id LIMIT $2 FOR NO KEY UPDATE",
                ticket.id,
                operation.quantity,
            )
            if len(seats) < operation.quantity:
                raise NoneLeftError
            await give_seats(db, answer, seats)
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the seats."""
        await free_seats(db, returned)


SPECIMEN = Specimen(name="seat_rows", doc=__doc__ or "", target=SeatRows())
