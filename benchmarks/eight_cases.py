"""The eight cases an explorer must get right, each through three drivers, many times over.

Run: ``python -m benchmarks.eight_cases [--quick]``, or through ``make bench``. Two buyers and one ticket. A
wrong design must come out violated under *no oversell*, a right one safe and exhausted; every time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import HEAD, Measured, Rate
from harness.model import Verdict
from harness.postgres import provision
from tests.driving.judging import shipped
from tests.exploring.cases.designs import DESIGNS
from tests.exploring.cases.targets import DRIVERS, case
from tests.exploring.exploring import explorer_of

if TYPE_CHECKING:
    from harness.model import Check

_REPEATS = 20
_REPEATS_QUICKLY = 1


async def rates(quick: bool) -> list[Rate | Measured]:
    """Return for each design and driver how often it came out right, and how long one exploration took."""
    repeats = _REPEATS_QUICKLY if quick else _REPEATS
    scenario = shipped("last_ticket", 2)
    rows: list[Rate | Measured] = []
    async with provision("embedded") as server:
        for name, design in DESIGNS.items():
            seconds: list[float] = []
            for driver in DRIVERS:
                hits = 0
                with tempfile.TemporaryDirectory() as folder:
                    async with explorer_of(server, case(name, driver), Path(folder)) as explorer:
                        for _ in range(repeats):
                            begun = time.monotonic()
                            hits += _is_right(await explorer.explore(scenario), oversells=design.oversells)
                            seconds.append(time.monotonic() - begun)
                must = "violated" if design.oversells else "safe, exhausted"
                rows.append(Rate(f"{name} through {driver}: {must}", hits, repeats))
            rows.append(Measured(f"{name}: one exploration, stage and all", "s", seconds))
    return rows


def _is_right(check: Check, *, oversells: bool) -> bool:
    if oversells:
        return "no_oversell" in {violation.law for violation in check.violations}
    return check.verdict is Verdict.SAFE and bool(check.exhausted)


if __name__ == "__main__":
    print(HEAD)
    for row in asyncio.run(rates("--quick" in sys.argv[1:])):
        print(row.row())
