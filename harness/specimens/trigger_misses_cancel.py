"""Triggers keep the counter: one takes a unit when an RSVP is inserted, one gives it back when it is deleted.

No code can forget the counter any more, since the database keeps it. But RSVPs are not deleted. Years ago
somebody asked to see who had cancelled, and since then a cancel is an update, for which there is no trigger.
No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Answer, Reserve
    from harness.specimens._statements import Returned, Ticket


_TRIGGERS = """
    CREATE FUNCTION take_unit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE tickets SET quantity_available = quantity_available - NEW.quantity
        WHERE id = NEW.ticket_id AND quantity_available >= NEW.quantity;
        IF NOT FOUND THEN
            RAISE 'sold out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION give_unit_back() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE tickets SET quantity_available = quantity_available + OLD.quantity WHERE id = OLD.ticket_id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER take_unit AFTER INSERT ON rsvps FOR EACH ROW EXECUTE FUNCTION take_unit();
    CREATE TRIGGER give_unit_back AFTER DELETE ON rsvps FOR EACH ROW EXECUTE FUNCTION give_unit_back();
"""


class TriggerMissesCancel(Shop):
    """See the module."""

    name = "trigger_misses_cancel"
    constraints = ONE_PER_PERSON + _TRIGGERS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert; the trigger takes."""
        try:
            return await insert_rsvp(db, ticket, operation)
        except asyncpg.CheckViolationError:
            return SOLD_OUT

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Leave it to the trigger."""


SPECIMEN = Specimen(
    name="trigger_misses_cancel",
    doc=__doc__ or "",
    target=TriggerMissesCancel(),
    mistake=Mistake(
        laws=frozenset({"no_leak"}),
        scenario="cancel_and_resell",
        engine="burst",
        source="verbb/events, pull request 228: canceled tickets still count against the capacity",
    ),
)
