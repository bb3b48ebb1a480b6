"""Seats are numbers, an RSVP has a set of them, and an exclusion constraint lets no two sets overlap.

The lowest free numbers are looked up and inserted. If somebody else has inserted one of them and not
committed, the insert waits; if they commit, it does nothing, and the numbers are looked up again. ON
CONFLICT DO NOTHING is not only polite here: without it, two inserts that overlap may each find the other's
row and wait for each other. Right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, insert_rsvp

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


_SEATS = """
    CREATE TABLE taken (
        rsvp_id bigint PRIMARY KEY REFERENCES rsvps,
        ticket_id bigint NOT NULL REFERENCES tickets,
        seats int8multirange NOT NULL,
        EXCLUDE USING gist (seats WITH &&)
    );
    CREATE INDEX ON taken (ticket_id);
"""
_HALL = 1_000_000
"""How far the numbers of one ticket type are from those of the next."""


class ExclusionConstraint(Shop):
    """See the module."""

    name = "exclusion_constraint"
    constraints = ONE_PER_PERSON + _SEATS
    available = (
        "(t.quantity_initial - (SELECT coalesce(sum(c.quantity), 0)"
        " FROM taken x JOIN rsvps c ON c.id = x.rsvp_id WHERE x.ticket_id = t.id))"
    )

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; look up seats and insert them, until nobody was faster."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            while True:
                seats = await _free_seats(db, ticket, operation.quantity)
                if len(seats) < operation.quantity:
                    raise NoneLeftError
                mine = await db.fetchval(
                    "INSERT INTO taken (rsvp_id, ticket_id, seats)"
                    " SELECT $1, $2, range_agg(int8range(n, n + 1)) FROM unnest($3::bigint[]) n"
                    " ON CONFLICT DO NOTHING RETURNING rsvp_id",
                    int(answer.reservation or 0),
                    ticket.id,
                    seats,
                )
                if mine is not None:
                    return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the seats."""
        await db.execute("DELETE FROM taken WHERE rsvp_id = $1", returned.rsvp)


async def _free_seats(db: asyncpg.Connection, ticket: Ticket, quantity: int) -> list[int]:
    rows = await db.fetch(
        "SELECT n FROM tickets t, generate_series($2::bigint, $2 + t.quantity_initial - 1) n"
        " WHERE t.id = $1"
        " AND NOT EXISTS (SELECT FROM taken x WHERE x.ticket_id = t.id AND x.seats @> n)"
        " ORDER BY n LIMIT $3",
        ticket.id,
        ticket.id * _HALL,
        quantity,
    )
    return [row["n"] for row in rows]


SPECIMEN = Specimen(name="exclusion_constraint", doc=__doc__ or "", target=ExclusionConstraint())
