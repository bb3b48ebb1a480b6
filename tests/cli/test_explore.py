"""oversell explore as a person runs it: real processes, a real Postgres, real implementations."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from tests.cli.commandline import oversell

if TYPE_CHECKING:
    from pathlib import Path

EMBEDDED = ("--database", "embedded")


def explored(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Explore and return the exit code, the check in the document, and what was said."""
    done = oversell("explore", *EMBEDDED, *words, "--json", cwd=folder, COLUMNS="80")
    assert done.stdout, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    return done.returncode, check, done.stderr


def test_the_shipped_service_is_exhausted(tmp_path: Path) -> None:
    """Every inequivalent schedule of two buyers for the last ticket is run over HTTP: exit code 0."""
    code, check, said = explored(tmp_path, "--target", "service", "--scenario", "last_ticket")
    assert (code, check["verdict"], check["exhausted"]) == (0, "safe", True), said
    assert re.search(r"\d+ schedules stand for \d+ orders: exhausted", said)
    assert check["orders"] > check["schedules"] > 1


def test_a_duplicate_is_found_shown_and_kept(tmp_path: Path) -> None:
    """Exit code 1, the schedule as lanes that fit the screen, and the id under which it can be run again."""
    words = ("--target", "specimen:compensating", "--scenario", "same_person_twice")
    code, check, said = explored(tmp_path, *words)
    assert (code, check["exhausted"]) == (1, False), said
    (violation,) = check["violations"]
    assert violation["law"] == "one_per_person"
    assert (tmp_path / f".oversell/runs/latest/failures/{violation['replay']}.json").is_file()
    assert f"oversell replay {violation['replay']}" in said
    assert "broken again in 10 of 10 replays" in said
    assert re.search(r"^ +│ tab-1 +│ tab-2 *$", said, re.MULTILINE)
    assert re.search(r"^ +│ .*<== by here eager has 2", said, re.MULTILINE)
    assert max(len(line) for line in said.splitlines() if "│" in line) <= 80
    assert "exhausted" not in said


def test_a_budget_that_ends_early_is_no_exhaustion(tmp_path: Path) -> None:
    """What was not run is not claimed: the word is nowhere, and the document says false."""
    words = ("--scenario", "last_ticket", "--buyers", "3", "--max-schedules", "2")
    _, check, said = explored(tmp_path, "--target", "specimen:atomic", *words)
    assert (check["runs"], check["exhausted"]) == (2, False)
    assert "not every order was covered" in said
    assert "exhausted" not in said


def test_an_isolation_level_reaches_the_sessions(tmp_path: Path) -> None:
    """Under SERIALIZABLE a right implementation stays right, and its buyers are told to try again."""
    words = ("--target", "specimen:for_update", "--scenario", "last_ticket")
    code, check, said = explored(tmp_path, *words)
    assert (code, check["outcomes"]["retryable"]) == (0, 0), said
    code, check, said = explored(tmp_path, *words, "--isolation", "serializable")
    assert code == 0, said
    assert check["outcomes"]["retryable"] > 0


def test_a_bound_on_preemptions_leaves_schedules_out(tmp_path: Path) -> None:
    """Without any, nobody meets anybody: inconclusive, never exhausted. With one, the race is found."""
    words = ("--target", "specimen:check_then_decrement", "--scenario", "last_ticket")
    code, check, said = explored(tmp_path, *words, "--preemptions", "0")
    assert (code, check["laws"]["no_oversell"], check["exhausted"]) == (3, "held", False), said
    assert "exhausted" not in said
    code, _, said = explored(tmp_path, *words, "--preemptions", "1")
    assert code == 1, said


def test_schedules_can_be_drawn_at_random(tmp_path: Path) -> None:
    """A seed finds the same violation again, with the probability it had of being found."""
    words = ("--target", "specimen:check_then_decrement", "--scenario", "last_ticket")
    chance = ("--pct", "2", "--max-schedules", "200", "--seed", "1")
    found = [explored(tmp_path, *words, *chance) for _ in range(2)]
    assert [(code, check["runs"]) for code, check, _ in found] == [(1, found[0][1]["runs"])] * 2
    assert 0 < found[0][1]["probability"] <= 1


def test_all_goes_on_after_the_first(tmp_path: Path) -> None:
    """With --all, the same laws are broken in more than one schedule, and everything is run."""
    words = ("--target", "specimen:naive", "--scenario", "last_ticket", "--all")
    code, check, said = explored(tmp_path, *words)
    assert (code, check["exhausted"]) == (1, True), said
    assert check["hits"] > 1


def test_check_takes_the_same_bounds(tmp_path: Path) -> None:
    """The gate passes crowd, level and budget on, from a settings file too."""
    (tmp_path / "oversell.toml").write_text('max-schedules = 2\nisolation = "repeatable-read"\nbuyers = 3\n')
    words = ("--engine", "explore", "--scenario", "last_ticket", "--json")
    done = oversell("check", *EMBEDDED, *words, cwd=tmp_path)
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["runs"], check["operations"]) == (2, 6), done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--max-schedules", "0"],
            "--max-schedules: a budget of zero shows nothing; valid: a whole number from 1",
        ),
        (["--max-schedules", "-1"], "--max-schedules"),
        (["--max-time", "0s"], "--max-time: '0s' is not a length of time"),
        (["--buyers", "0"], "--buyers"),
        (["--preemptions", "-1"], "--preemptions"),
        (["--pct", "0"], "--pct"),
        (["--pct", "2", "--preemptions", "1"], "Choose one of --pct and --preemptions"),
        (["--isolation", "chaos"], "'read-committed', 'repeatable-read', 'serializable'"),
        (["--scenario", "last_tickte"], "Did you mean 'last_ticket'?"),
        (["--engine", "burst"], "No option named '--engine'"),
    ],
)
def test_what_cannot_be_explored_is_refused(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit code 2 and one line that says what is valid; no run folder is left."""
    monkeypatch.chdir(tmp_path)
    assert main(["explore", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []
