"""What an exploration keeps of a schedule that breaks a law."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.exploring import shrinking
from harness.model import Verdict
from harness.model.events import FailureKept
from harness.specimens import SPECIMENS
from tests.driving.judging import shipped
from tests.exploring.exploring import explorer_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from harness.postgres import Server


async def test_a_law_the_scenario_leaves_out_can_be_asked_for(server: Server, tmp_path: Path) -> None:
    """Whoever names a law gets its failure kept, also where the scenario judges by others."""
    scenario = replace(shipped("last_ticket", 2), laws=("never_negative",))
    async with explorer_of(server, SPECIMENS.get("naive").target, tmp_path) as explorer:
        check = await explorer.explore(scenario, laws=("no_oversell",))
    assert check.verdict is Verdict.VIOLATED
    assert [violation.law for violation in check.violations] == ["no_oversell"]
    assert check.violations[0].replay is not None


async def test_a_failure_that_takes_long_is_run_again_less_often(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once at least, and it is kept with how often it was."""
    monkeypatch.setattr(shrinking, "_REPLAYING", 0.0)
    async with explorer_of(server, SPECIMENS.get("naive").target, tmp_path) as explorer:
        await explorer.explore(shipped("last_ticket", 2))
    (kept,) = explorer.heard.of(FailureKept)
    assert (kept.failure.replayed, kept.failure.reproduced) == (1, 1)
