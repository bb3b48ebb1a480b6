"""Lock the buyer's row, look whether any are left, and sell.

SELECT … FOR UPDATE is what was called for, and the account is what everything else in this shop is locked
by: nobody can do two things at a time. Two people can, and they do not share an account but a ticket type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, SOLD_OUT, give_back, insert_rsvp, read_counter

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve
    from harness.specimens._statements import Ticket


class LocksThePerson(Shop):
    """See the module."""

    name = "locks_the_person"
    constraints = ONE_PER_PERSON + "CREATE TABLE accounts (user_id text PRIMARY KEY);"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Lock the account; look; sell."""
        await db.execute(
            "INSERT INTO accounts (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING", operation.person
        )
        async with db.transaction():
            await db.execute("SELECT FROM accounts WHERE user_id = $1 FOR UPDATE", operation.person)
            if await read_counter(db, ticket) < operation.quantity:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await give_back(db, ticket, -operation.quantity)
            return answer


SPECIMEN = Specimen(
    name="locks_the_person",
    doc=__doc__ or "",
    target=LocksThePerson(),
    mistake=Mistake(
        laws=frozenset({"no_oversell"}),
        scenario="last_ticket",
        engine="explore",
        source="a lock on another resource than the one that is shared: CWE-667, improper locking",
    ),
)
