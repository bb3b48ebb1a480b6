"""A unique key on event and person, over all RSVPs there have ever been.

It keeps everybody from having two, and it also keeps from coming back whoever has cancelled: the row is
still there, for the records. They are told that they have an RSVP, which they have not. No race is needed.
"""

from __future__ import annotations

from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen


class UniqueWithCancelled(GuardedShop):
    """See the module."""

    name = "unique_with_cancelled"
    constraints = "CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id);"


SPECIMEN = Specimen(
    name="unique_with_cancelled",
    doc=__doc__ or "",
    target=UniqueWithCancelled(),
    mistake=Mistake(
        laws=frozenset({"linearizable"}),
        scenario="stale_cancel",
        engine="burst",
        source=(
            "soft deletion under a unique key that does not know of it: PostgreSQL manual, 11.8 Partial "
            "Indexes"
        ),
    ),
)
