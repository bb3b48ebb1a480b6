"""A constraint stops overselling; its violation is taken for a repeated request and answered with success.

The database is right: the counter has a CHECK, one RSVP for each person is a unique key, and all is undone
when either fails. But the application knows one integrity error only, the double click, and confirms what
it believes to be there already. Whoever is refused for want of stock gets the same confirmation. No race is
needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from harness.model import Answer, Outcome
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, Ticket, give_back, insert_rsvp

if TYPE_CHECKING:
    from harness.model import Reserve


class IntegrityErrorAccepted(Shop):
    """See the module."""

    name = "integrity_error_accepted"
    constraints = "ALTER TABLE tickets ADD CHECK (quantity_available >= 0);" + ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert and decrement; when it is there already, that is fine."""
        try:
            async with db.transaction():
                answer = await insert_rsvp(db, ticket, operation)
                await give_back(db, ticket, -operation.quantity)
                return answer
        except asyncpg.IntegrityConstraintViolationError:
            return Answer(Outcome.ACCEPTED)


SPECIMEN = Specimen(
    name="integrity_error_accepted",
    doc=__doc__ or "",
    target=IntegrityErrorAccepted(),
    mistake=Mistake(
        laws=frozenset({"accepted_in_books_once"}),
        scenario="last_ticket",
        engine="burst",
        source="an except clause wider than what it handles: CWE-396",
    ),
)
