"""The stateful engine: what it finds, how small that gets, and what it says of targets that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.exploring.replaying import ReplayOutcome, replay_failure
from harness.model import Verdict
from harness.model.events import FailureKept
from harness.specimens import SPECIMENS
from tests.driving.judging import shipped
from tests.engines.drawing import drawer_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Failure
    from harness.postgres import Server


def unhurried(seed: int) -> Settings:
    """Return settings whose outcome does not depend on how busy the machine is."""
    return Settings(seed=seed, stateful_time=300, shrink_time=300)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_naive_race_is_found_and_as_small_as_can_be(
    seed: int, server: Server, tmp_path: Path
) -> None:
    """Two buyers, one ticket each, and one context switch that a lost update needs."""
    async with drawer_of(server, SPECIMENS.get("check_then_decrement").target, tmp_path) as drawer:
        check = await drawer.draw(shipped("last_ticket", 3), unhurried(seed))
        failure = drawer.heard.of(FailureKept)[-1].failure
    assert check.verdict is Verdict.VIOLATED
    assert "no_oversell" in {violation.law for violation in check.violations}
    assert [len(program.operations) for program in failure.scenario.programs()] == [1, 1]
    assert failure.preemptions == 1
    assert (failure.replayed, failure.reproduced) == (10, 10)
    assert failure.reproduction.startswith("@reproduce_failure(")
    assert {violation.replay for violation in check.violations if violation.law in failure.laws} == {
        failure.id
    }


async def test_a_kept_failure_can_be_replayed(server: Server, tmp_path: Path) -> None:
    """By itself, later, on another database."""
    target = SPECIMENS.get("check_then_decrement").target
    async with drawer_of(server, target, tmp_path) as drawer:
        await drawer.draw(shipped("last_ticket", 3), unhurried(1))
        failure: Failure = drawer.heard.of(FailureKept)[-1].failure
    (replayed,) = await replay_failure(
        failure, target, database="embedded", folder=tmp_path, notice=lambda _: None
    )
    assert replayed.outcome is ReplayOutcome.STILL_FAILS


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["guarded_update", "for_update"])
async def test_right_ones_are_safe(name: str, seed: int, server: Server, tmp_path: Path) -> None:
    """Whatever is drawn, nothing is held against them, and there was something to be seen."""
    async with drawer_of(server, SPECIMENS.get(name).target, tmp_path) as drawer:
        check = await drawer.draw(shipped("last_ticket", 3), unhurried(seed))
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert check.coverage["overlapping_steps"] > 0
    assert check.coverage["sold_out"] > 0
