"""One RSVP for a person, as a unique key: on person and ticket type.

The database keeps the promise that it was given, but the rule is about the event. Who takes a floor ticket
and then a balcony ticket has two for the same evening. No race is needed.
"""

from __future__ import annotations

from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen


class UniqueOnWrongColumns(GuardedShop):
    """See the module."""

    name = "unique_on_wrong_columns"
    constraints = """
        CREATE UNIQUE INDEX one_per_ticket ON rsvps (ticket_id, user_id) WHERE status = 'confirmed';
    """


SPECIMEN = Specimen(
    name="unique_on_wrong_columns",
    doc=__doc__ or "",
    target=UniqueOnWrongColumns(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="same_person_two_types",
        engine="explore",
        source="the key does not say what the rule says",
    ),
)
