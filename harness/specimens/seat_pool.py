"""A pool of seats taken with SKIP LOCKED, which falls back to waiting when it finds too few.

SKIP LOCKED lets buyers pass each other as long as there are seats that nobody is at. When too few are free
and unlocked, the others may be sold or merely locked; that is found out by waiting for them, after those
that were got have been let go of (a savepoint), so that nobody waits while holding a seat out of order.
"Sold out" is said only then.
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

_FREE = "SELECT id FROM seats WHERE ticket_id = $1 AND rsvp_id IS NULL ORDER BY id LIMIT $2 FOR NO KEY UPDATE"
_PASSING = " SKIP LOCKED"
_WAITING = ""


class SeatPool(Shop):
    """See the module."""

    name = "seat_pool"
    constraints = ONE_PER_PERSON + SEATS
    available = FREE_SEATS
    stock_rows = (SEAT_ROWS,)

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; take seats in passing, else by waiting; write the RSVP on them."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            for waits in (_PASSING, _WAITING):
                try:
                    async with db.transaction():
                        seats = await db.fetch(_FREE + waits, ticket.id, operation.quantity)
                        if len(seats) < operation.quantity:
                            raise NoneLeftError
                        await give_seats(db, answer, seats)
                        return answer
                except NoneLeftError:
                    continue
            raise NoneLeftError

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the seats."""
        await free_seats(db, returned)


SPECIMEN = Specimen(name="seat_pool", doc=__doc__ or "", target=SeatPool())
