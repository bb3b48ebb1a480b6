"""A hold is a lease of a place, and confirming it shows the token of that lease.

Leases run out by themselves, and whoever comes next takes the place over, which makes its token grow. A
payment that comes late carries an old token, and the one statement that would write it down finds nothing.
There is no clean-up that could race with anything. Right.
"""

from __future__ import annotations

from harness.specimens._places import PlacesOffice
from harness.specimens._specimen import Specimen


class FencingTokens(PlacesOffice):
    """See the module."""

    name = "fencing_tokens"


SPECIMEN = Specimen(name="fencing_tokens", doc=__doc__ or "", target=FencingTokens())
