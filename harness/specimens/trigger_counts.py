"""A trigger counts the RSVPs before each insert and raises an error when there are enough.

The rule stands in the database, where no application can forget it, and in any test by hand it refuses. But
the trigger counts what is committed. Two inserts at the same time do not see each other, and both pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve

_FUNCTION = """
    CREATE FUNCTION enough() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.quantity + (
            SELECT coalesce(sum(quantity), 0) FROM rsvps
            WHERE ticket_id = NEW.ticket_id AND status = 'confirmed'
        ) > (SELECT quantity_initial FROM tickets WHERE id = NEW.ticket_id) THEN
            RAISE 'sold out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER enough BEFORE INSERT ON rsvps FOR EACH ROW EXECUTE FUNCTION enough();
"""


class TriggerCounts(ShopOfRows):
    """See the module."""

    name = "trigger_counts"
    constraints = ONE_PER_PERSON + _FUNCTION

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, and let the trigger object."""
        try:
            return await insert_rsvp(db, ticket, operation)
        except asyncpg.CheckViolationError:
            return SOLD_OUT


SPECIMEN = Specimen(
    name="trigger_counts",
    doc=__doc__ or "",
    target=TriggerCounts(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="PostgreSQL manual, 13.4 Data Consistency Checks at the Application Level",
    ),
)
