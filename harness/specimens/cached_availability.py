"""The number on the page comes from a cache that lives for five seconds; selling asks the database.

Nothing is oversold, since the decrement has its own guard. But for five seconds the page shows what was, and
people are shown tickets that are gone, or are not shown those that came back.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.model import Answer
from harness.specimens._box_office import DONE, SELLING, BoxOffice
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


_SECONDS = 5.0
"""How long a number is good for."""


class CachedAvailability(BoxOffice):
    """See the module."""

    name = "cached_availability"
    supports = SELLING

    def __init__(self) -> None:
        self._cache: dict[int, tuple[float, Answer]] = {}
        """When each ticket type's number was read, and what was answered."""

    async def availability(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Answer from the cache while it lives."""
        read, answer = self._cache.get(ticket.id, (-_SECONDS, DONE))
        if time.monotonic() - read >= _SECONDS:
            answer = await super().availability(db, ticket)
            self._cache[ticket.id] = time.monotonic(), answer
        return answer


SPECIMEN = Specimen(
    name="cached_availability",
    doc=__doc__ or "",
    target=CachedAvailability(),
    mistake=Mistake(
        laws=frozenset({"availability_was_true"}),
        scenario="availability_during_rush",
        engine="stateful",
        source="stale reads: a cache in front of the source of truth, with nothing that invalidates it",
    ),
)
