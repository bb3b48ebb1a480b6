"""A right decrement, and nobody looks whether the quantity is a number of tickets.

The guard asks whether as many remain as are wanted. As many as -1 always do; minus -1 is plus 1, and there
is one more for sale than there ever was. 0 gets a confirmation for nothing. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class NegativeQuantity(Shop):
    """See the module."""

    name = "negative_quantity"
    constraints = ONE_PER_PERSON

    def is_valid(self, operation: Reserve) -> bool:
        """Look for a number, as the form's parser does."""
        return isinstance(operation.quantity, int)

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="negative_quantity",
    doc=__doc__ or "",
    target=NegativeQuantity(),
    mistake=Mistake(
        laws=frozenset({"never_negative"}),
        scenario="odd_quantities",
        engine="burst",
        source="improper validation of specified quantity in input: CWE-1284",
    ),
)
