"""A right decrement, and nobody looks whether the quantity is a number of tickets.

The guard asks whether as many remain as are wanted. As many as -1 always do; minus -1 is plus 1, and there
is one more for sale than there ever was. 0 gets a confirmation for nothing. No race is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._shop import GuardedShop
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    from harness.model import Reserve


class NegativeQuantity(GuardedShop):
    """See the module."""

    name = "negative_quantity"

    def is_valid(self, operation: Reserve) -> bool:
        """Look for a number, as the form's parser does."""
        return isinstance(operation.quantity, int)


SPECIMEN = Specimen(
    name="negative_quantity",
    doc=__doc__ or "",
    target=NegativeQuantity(),
    mistake=Mistake(
        laws=frozenset({"never_negative"}),
        scenario="odd_quantities",
        engine="burst",
        source="improper validation of specified quantity in input: CWE-1284",
    ),
)
