"""The eight cases an explorer must get right: two buyers, one ticket, three drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.model import Verdict
from tests.driving.judging import shipped
from tests.exploring.cases.designs import DESIGNS
from tests.exploring.cases.targets import DRIVERS, case
from tests.exploring.exploring import explorer_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

REPEATS = 3


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", DESIGNS)
async def test_a_design_comes_out_as_it_is(name: str, driver: str, server: Server, tmp_path: Path) -> None:
    """The wrong ones oversell; the right ones are safe, and nothing is left to try. Every time."""
    scenario = shipped("last_ticket", 2)
    async with explorer_of(server, case(name, driver), tmp_path) as explorer:
        checks = [await explorer.explore(scenario) for _ in range(REPEATS)]
    if DESIGNS[name].oversells:
        assert [check.verdict for check in checks] == [Verdict.VIOLATED] * REPEATS
        assert all("no_oversell" in {found.law for found in check.violations} for check in checks)
    else:
        assert [check.verdict for check in checks] == [Verdict.SAFE] * REPEATS, checks
        assert all(check.exhausted for check in checks)
    assert len({check.schedules for check in checks}) == 1
