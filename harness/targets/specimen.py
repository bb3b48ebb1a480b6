"""An implementation that comes with the harness and is known to be right or known to be wrong.

``specimen:NAME``; ``oversell list specimens`` says which there are.
"""

from harness.specimens import SPECIMENS
from harness.targets._kind import Kind

_PREFIX = "specimen:"

KIND = Kind(
    name="specimen",
    usage="specimen:NAME",
    doc=__doc__ or "",
    claims=lambda spec: spec.startswith(_PREFIX),
    make=lambda spec: SPECIMENS.get(spec.removeprefix(_PREFIX)).target,
)
