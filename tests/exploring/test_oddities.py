"""Applications that make an explorer's life hard: never a wrong verdict, never a hang, never a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.model import Verdict
from harness.specimens import SPECIMENS
from tests.driving.judging import shipped
from tests.exploring import oddities
from tests.exploring.exploring import explorer_of

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Check, Target
    from harness.postgres import Server


async def explored(
    server: Server,
    folder: Path,
    target: Target,
    settings: Settings | None = None,
    *,
    scenario: str = "last_ticket",
) -> Check:
    """Explore two buyers once."""
    async with explorer_of(server, target, folder) as explorer:
        return await explorer.explore(shipped(scenario, 2), settings)


def laws_broken(check: Check) -> set[str]:
    return {violation.law for violation in check.violations}


async def test_an_answer_that_asks_the_database_nothing_keeps_a_space_open(
    server: Server, tmp_path: Path
) -> None:
    """It happens at no step, so whether it was true after a commit is in none of the orders."""
    target = SPECIMENS.get("cached_availability").target
    check = await explored(server, tmp_path, target, scenario="availability_during_rush")
    assert check.schedules
    assert not check.exhausted


@pytest.mark.parametrize(
    "target",
    [
        oddities.Polling(),
        oddities.AnswersFirst(),
        oddities.NoWait(),
        oddities.TryAdvisory(),
        oddities.TryAdvisoryOnRow(),
        oddities.SessionLock(),
    ],
    ids=lambda target: target.name,
)
async def test_a_right_one_is_exhausted(target: Target, server: Server, tmp_path: Path) -> None:
    """Background queries, late commits and locks of every kind change nothing about the verdict."""
    check = await explored(server, tmp_path, target)
    assert check.verdict is Verdict.SAFE, check
    assert check.exhausted


@pytest.mark.parametrize(
    "target",
    [
        oddities.LockedInTheApplication(),
        oddities.SmallPool(),
        oddities.InParallel(),
        oddities.CountsAtCommit(),
        oddities.LooksTwiceInOneFunction(),
    ],
    ids=lambda target: target.name,
)
async def test_what_cannot_be_seen_is_never_called_exhausted(
    target: Target, server: Server, tmp_path: Path
) -> None:
    """A lock in the application, a full pool, statements sent at once, looks at commit."""
    check = await explored(server, tmp_path, target, Settings(explore_time=10))
    assert check.verdict is Verdict.SAFE, check
    assert not check.exhausted
    assert check.runs >= 2


@pytest.mark.parametrize(
    ("target", "scenario", "law"),
    [
        (oddities.PollingNaive(), "last_ticket", "no_oversell"),
        (oddities.ConnectionAfterConnection(), "same_person_twice", "one_per_person"),
        (oddities.Silent(), "last_ticket", "accepted_in_books_once"),
        (oddities.OppositeLocks(), "last_ticket", "no_deadlock"),
        (oddities.LooksElsewhereFirst(), "last_ticket", "no_oversell"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_a_wrong_one_is_caught(
    target: Target, scenario: str, law: str, server: Server, tmp_path: Path
) -> None:
    """Whatever else goes on around it."""
    check = await explored(server, tmp_path, target, scenario=scenario)
    assert check.verdict is Verdict.VIOLATED
    assert law in laws_broken(check)


async def test_one_that_hangs_is_told_and_not_waited_for(server: Server, tmp_path: Path) -> None:
    """Every wait has a bound, and a buyer without an answer is a violation of its own."""
    check = await explored(server, tmp_path, oddities.Hanging(), Settings(operation_timeout=1))
    assert laws_broken(check) == {"answers"}


async def test_a_backend_that_dies_is_no_verdict(server: Server, tmp_path: Path) -> None:
    """Nobody knows what became of the purchases, and the explorer gets to its end."""
    check = await explored(server, tmp_path, oddities.Mortal())
    assert check.verdict is Verdict.INCONCLUSIVE
    assert any("no operation succeeded" in reason for reason in check.reasons)


@pytest.mark.parametrize(
    ("target", "level", "verdict"),
    [
        (oddities.CountThenInsert(), "read committed", Verdict.VIOLATED),
        (oddities.CountThenInsert(), "repeatable read", Verdict.VIOLATED),
        (oddities.CountThenInsert(), "serializable", Verdict.SAFE),
        (oddities.ReadModifyWrite(), "read committed", Verdict.VIOLATED),
        (oddities.ReadModifyWrite(), "repeatable read", Verdict.SAFE),
        (oddities.ReadModifyWrite(), "serializable", Verdict.SAFE),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_isolation_levels_save_whom_they_save(
    target: Target, level: str, verdict: Verdict, server: Server, tmp_path: Path
) -> None:
    """A phantom needs SERIALIZABLE, a lost update REPEATABLE READ; both then tell buyers to try again."""
    check = await explored(server, tmp_path, target, Settings(isolation=level))
    assert check.verdict is verdict, check
    if verdict is Verdict.SAFE:
        assert check.exhausted
        assert check.outcomes["retryable"]
    else:
        assert "no_oversell" in laws_broken(check)


@pytest.mark.parametrize(
    "target", [oddities.OppositeLocks(), oddities.ReadModifyWrite()], ids=lambda target: target.name
)
async def test_the_same_counterexample_comes_every_time(
    target: Target, server: Server, tmp_path: Path
) -> None:
    """The same number of runs, the same law, the same words, the same victim."""
    async with explorer_of(server, target, tmp_path) as explorer:
        checks = [await explorer.explore(shipped("last_ticket", 2)) for _ in range(3)]
    assert len({(check.runs, check.schedules, check.violations[0].message) for check in checks}) == 1


@pytest.mark.parametrize("settings", [Settings(schedules=0), Settings(explore_time=0)], ids=["runs", "time"])
async def test_a_budget_of_nothing_is_no_verdict(settings: Settings, server: Server, tmp_path: Path) -> None:
    """Nothing was run, so nothing is said."""
    check = await explored(server, tmp_path, oddities.NoWait(), settings)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.runs == 0
    assert not check.exhausted
    assert any("nothing was run" in reason for reason in check.reasons)


async def test_a_small_budget_ends_the_exploration_unfinished(server: Server, tmp_path: Path) -> None:
    """Three schedules are three runs, and not all there are."""
    check = await explored(server, tmp_path, oddities.SessionLock(), Settings(schedules=3))
    assert check.runs == 3
    assert not check.exhausted


async def test_a_target_of_moods_is_inconclusive(server: Server, tmp_path: Path) -> None:
    """What sends now these statements and now those is not judged safe; the first difference is shown."""
    check = await explored(server, tmp_path, oddities.Moody(), Settings(explore_time=10))
    assert check.verdict is Verdict.INCONCLUSIVE, check
    assert any("does not do the same" in reason and "then" in reason for reason in check.reasons)
