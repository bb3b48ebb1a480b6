"""The sale ends at a deadline: the page hides the button then, and the server looks at the stock alone.

Nobody who uses the page can buy too late. Whoever has had it open since before, or sends the request again,
can. No race is needed.
"""

from __future__ import annotations

from harness.model import Feature
from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen


class DeadlineInTheForm(GuardedShop):
    """See the module."""

    name = "deadline_in_the_form"
    supports = GuardedShop.supports | {Feature.DEADLINE}


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
