"""The statistics are a table of sums, and every sale and every cancel adds to it in its own transaction.

What was sold and what was counted are committed together or not at all, and adding is one statement that
reads nothing beforehand. Right.
"""

from __future__ import annotations

from harness.specimens._sales import CountingOffice
from harness.specimens._specimen import Specimen


class SalesInTransaction(CountingOffice):
    """See the module."""

    name = "sales_in_transaction"


SPECIMEN = Specimen(name="sales_in_transaction", doc=__doc__ or "", target=SalesInTransaction())
