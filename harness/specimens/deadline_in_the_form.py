"""The sale ends at a deadline: the page hides the button then, and the server looks at the stock alone.

Nobody who uses the page can buy too late. Whoever has had it open since before, or sends the request again,
can. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Feature
from harness.specimens._shop import Shop
from harness.specimens._specimen import Mistake, Specimen
from harness.specimens._statements import ONE_PER_PERSON, NoneLeftError, Ticket, insert_rsvp, take

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Answer, Reserve


class DeadlineInTheForm(Shop):
    """See the module."""

    name = "deadline_in_the_form"
    supports = Shop.supports | {Feature.DEADLINE}
    constraints = ONE_PER_PERSON

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Insert, then take; both or neither."""
        async with db.transaction():
            answer = await insert_rsvp(db, ticket, operation)
            if not await take(db, ticket, operation):
                raise NoneLeftError
            return answer


SPECIMEN = Specimen(
    name="deadline_in_the_form",
    doc=__doc__ or "",
    target=DeadlineInTheForm(),
    mistake=Mistake(
        laws=frozenset({"nothing_after_deadline"}),
        scenario="after_the_deadline",
        engine="burst",
        source="client-side enforcement of server-side rules: CWE-602",
    ),
)
