"""Everything in one shop, all of it rightly: holds, groups, a line, capacities, refunds, notices, statistics.

Whoever changes anything about a ticket type locks its row first. That makes all changes of one ticket type
happen one after another, and it is the whole secret. Whatever comes back is handed to the line in the
transaction in which it comes back; notices are sent by a trigger, so that they arrive with the commit or not
at all; statistics are counted in the rows. Right.
"""

from __future__ import annotations

from harness.model import Feature
from harness.specimens._box_office import NOTICES, BoxOffice
from harness.specimens._specimen import Specimen


class WholeBoxOffice(BoxOffice):
    """See the module."""

    name = "box_office"
    supports = BoxOffice.supports | {Feature.NOTICES}
    constraints = BoxOffice.constraints + NOTICES


SPECIMEN = Specimen(name="box_office", doc=__doc__ or "", target=WholeBoxOffice())
