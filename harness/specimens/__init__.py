"""Specimens: implementations known to be right or known to be wrong. The harness is tested on them.

One per file, found by looking. A specimen is written as people write such code, and is never tuned to what
an engine can find.
"""

from harness.catalogue import Catalogue
from harness.specimens._specimen import Mistake, Specimen

__all__ = ["SPECIMENS", "Mistake", "Specimen"]

SPECIMENS: Catalogue[Specimen] = Catalogue("specimen", __name__, "SPECIMEN")
