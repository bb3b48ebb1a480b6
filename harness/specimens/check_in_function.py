"""Check and insert within a function of the database, which the client calls in a transaction of its own.

"We moved it into a stored procedure, so it is atomic." A plpgsql function is no critical section: its
statements are statements like others, and its rows are committed only when the client says so. Whoever
calls it before then counts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Outcome
from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Reserve

_FUNCTION = """
    CREATE FUNCTION make_rsvp(p_ticket bigint, p_user text, p_quantity integer)
    RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE
        ticket tickets;
        taken integer;
        made bigint;
    BEGIN
        SELECT * INTO ticket FROM tickets WHERE id = p_ticket;
        SELECT coalesce(sum(quantity), 0) INTO taken
        FROM rsvps WHERE ticket_id = p_ticket AND status = 'confirmed';
        IF taken + p_quantity > ticket.quantity_initial THEN
            RETURN NULL;
        END IF;
        INSERT INTO rsvps (event_id, ticket_id, user_id, quantity)
        VALUES (ticket.event_id, p_ticket, p_user, p_quantity)
        RETURNING id INTO made;
        RETURN made;
    END $$;
"""


class CheckInFunction(ShopOfRows):
    """See the module."""

    name = "check_in_function"
    constraints = ONE_PER_PERSON + _FUNCTION

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Call the function; the COMMIT comes after."""
        async with db.transaction():
            rsvp = await db.fetchval(
                "SELECT make_rsvp($1, $2, $3)", ticket.id, operation.person, operation.quantity
            )
        return SOLD_OUT if rsvp is None else Answer(Outcome.ACCEPTED, reservation=str(rsvp))


SPECIMEN = Specimen(
    name="check_in_function",
    doc=__doc__ or "",
    target=CheckInFunction(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="phantom: Berenson et al., SIGMOD 1995, phenomenon P3",
    ),
)
