"""Every unit has a number, and a unique key on ticket type and number keeps each from being sold twice.

The lowest free numbers are looked up and inserted. Who is second at one waits at the key until the first
has committed, and is then refused; that is no answer to the buyer, so the numbers are looked up again.
"Sold out" is only said when no number is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Specimen
from harness.specimens._statements import (
    DUPLICATE,
    ONE_PER_PERSON,
    NoneLeftError,
    Returned,
    Ticket,
    insert_rsvp,
)

if TYPE_CHECKING:
    from harness.model import Answer, Reserve

_SLOTS = """
    CREATE TABLE slots (
        ticket_id bigint NOT NULL REFERENCES tickets,
        number integer NOT NULL,
        rsvp_id bigint NOT NULL REFERENCES rsvps,
        CONSTRAINT one_owner UNIQUE (ticket_id, number)
    );
    CREATE INDEX ON slots (rsvp_id);
"""


class SlotNumbers(Shop):
    """See the module."""

    name = "slot_numbers"
    constraints = ONE_PER_PERSON + _SLOTS
    available = "(t.quantity_initial - (SELECT count(*) FROM slots s WHERE s.ticket_id = t.id))"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Try until the numbers looked up are still free."""
        while True:
            try:
                return await self._attempt(db, ticket, operation)
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != "one_owner":
                    return DUPLICATE

    async def _attempt(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            made = await db.fetch(
                "INSERT INTO slots (ticket_id, number, rsvp_id)"
                " SELECT t.id, n, $3 FROM tickets t, generate_series(1, t.quantity_initial) n"
                " WHERE t.id = $1"
                " AND NOT EXISTS (SELECT FROM slots s WHERE s.ticket_id = t.id AND s.number = n)"
                " ORDER BY n LIMIT $2 RETURNING number",
                ticket.id,
                operation.quantity,
                int(answer.reservation or 0),
            )
            if len(made) < operation.quantity:
                raise NoneLeftError
            return answer

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the numbers."""
        await db.execute("DELETE FROM slots WHERE rsvp_id = $1", returned.rsvp)


SPECIMEN = Specimen(name="slot_numbers", doc=__doc__ or "", target=SlotNumbers())
