"""The RSVPs are the ledger; a constraint trigger at COMMIT locks the ticket type and adds them up.

What trigger_counts lacks is the lock. This one is deferred to the commit, so the lock is held as briefly as
can be; it waits for whoever commits before, and adds up with a statement of its own after the wait, which
sees that one's rows. FOR NO KEY UPDATE, because the foreign keys of the others' RSVPs hold the row a
little.

No exhaustive search calls this one exhausted: when a deferred trigger looks, its transaction is committing
already, so the two cannot be held apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import ShopOfRows
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, Ticket, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve

_TRIGGER = """
    CREATE FUNCTION enough() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        initial integer;
    BEGIN
        SELECT quantity_initial INTO initial FROM tickets WHERE id = NEW.ticket_id FOR NO KEY UPDATE;
        IF initial < (
            SELECT sum(quantity) FROM rsvps WHERE ticket_id = NEW.ticket_id AND status = 'confirmed'
        ) THEN
            RAISE 'sold out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER enough AFTER INSERT ON rsvps
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION enough();
"""


class DeferredTrigger(ShopOfRows):
    """See the module."""

    name = "deferred_trigger"
    constraints = ONE_PER_PERSON + _TRIGGER

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; the commit says whether there was room."""
        try:
            async with db.transaction():
                return await insert_rsvp(db, ticket, operation)
        except asyncpg.CheckViolationError:
            return SOLD_OUT


SPECIMEN = Specimen(name="deferred_trigger", doc=__doc__ or "", target=DeferredTrigger())
