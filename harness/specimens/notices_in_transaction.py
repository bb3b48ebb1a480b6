"""The notice is sent in the transaction that changes the number, after the number is locked.

Postgres delivers a notice when its transaction commits, and not at all when it does not; and since the
ticket type is locked, the notices leave in the order of the changes. The last one that arrives is true.
Right.
"""

from __future__ import annotations

from harness.specimens._notices import TellingOffice
from harness.specimens._specimen import Specimen


class NoticesInTransaction(TellingOffice):
    """See the module."""

    name = "notices_in_transaction"


SPECIMEN = Specimen(name="notices_in_transaction", doc=__doc__ or "", target=NoticesInTransaction())
