"""oversell replay: a failure found by one command, run again by the next, and by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from harness.exploring.replaying import Replayed, ReplayOutcome
from harness.reporting import read_failure, write_failure
from tests.cli.commandline import oversell
from tests.reporting.samples import FAILURE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EMBEDDED = ("--database", "embedded")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which an exploration has found a duplicate, and a later run nothing."""
    folder = tmp_path_factory.mktemp("found")
    words = ("--target", "specimen:compensating", "--scenario", "same_person_twice")
    assert oversell("explore", *EMBEDDED, *words, cwd=folder).returncode == 1
    words = ("--target", "specimen:atomic", "--scenario", "same_person_twice")
    assert oversell("explore", *EMBEDDED, *words, cwd=folder).returncode == 0
    return folder


def test_the_latest_failure_still_fails(found: Path) -> None:
    """Exit code 1, the steps as lanes, and the verdict in words, although a later run found nothing."""
    done = oversell("replay", "latest", *EMBEDDED, cwd=found, COLUMNS="80")
    assert done.returncode == 1, done.stderr
    assert "STILL FAILS: general: started with 2, sold 2" in done.stdout
    assert "│ tab-1" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "│" in line) <= 80
    assert "first difference" not in done.stdout


def test_a_fix_is_told_from_a_difference(found: Path) -> None:
    """A target with the fix does other steps; every schedule of them is run before it is called fixed."""
    done = oversell("replay", "--target", "specimen:atomic", *EMBEDDED, cwd=found)
    assert done.returncode == 0, done.stderr
    assert "first difference: " in done.stdout
    assert "FIXED: the target does other steps now, and none of the " in done.stdout
    assert "the recorded steps:" in done.stdout


def test_a_failure_is_named_by_id_prefix_or_file(found: Path) -> None:
    """However it is named, it is the same failure; --json says how often it failed, and nothing else."""
    (file,) = found.glob(".oversell/runs/2*/failures/*.json")
    for name in (file.stem[:5], str(file)):
        done = oversell("replay", name, *EMBEDDED, "--times", "2", "--json", cwd=found)
        document = json.loads(done.stdout)
        assert (done.returncode, document["outcome"], document["failure"]) == (1, "still fails", file.stem)
        assert document["times"] == {"still fails": 2, "diverged": 0, "fixed": 0}
        assert len(document["steps"]) == len(read_failure(file).steps)


def test_a_terminal_without_the_letters_changes_no_exit_code(found: Path) -> None:
    """Where a letter cannot be written it is written as its number."""
    done = oversell("replay", *EMBEDDED, cwd=found, PYTHONIOENCODING="ascii")
    assert done.returncode == 1, done.stderr
    assert "reserve 1 \\xd7 general" in done.stdout
    done = oversell("replay", *EMBEDDED, "--json", cwd=found, PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["outcome"] == "still fails", done.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one hand-made failure in it."""
    monkeypatch.chdir(tmp_path)
    write_failure(tmp_path / f".oversell/runs/2026-01-01T00-00-00Z/failures/{FAILURE.id}.json", FAILURE)
    return tmp_path


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the engine say these outcomes, one after the other."""

    def say(*outcomes: ReplayOutcome, difference: str = "") -> None:
        async def replay_failure(*_: Any, times: int, **__: Any) -> list[Replayed]:
            return [
                Replayed(outcome=outcome, steps=FAILURE.steps[:3], message="m", difference=difference)
                for outcome in outcomes[:times]
            ]

        monkeypatch.setattr("harness.exploring.replaying.replay_failure", replay_failure)

    return say


FIXED, FAILS, DIVERGED = ReplayOutcome.FIXED, ReplayOutcome.STILL_FAILS, ReplayOutcome.DIVERGED


@pytest.mark.parametrize(
    ("outcomes", "code", "said"),
    [
        ([FIXED], 0, "FIXED: m"),
        ([FAILS], 1, "STILL FAILS: m"),
        ([DIVERGED], 3, "DIVERGED: m"),
        ([FIXED, FAILS, FIXED], 1, "STILL FAILS in 1 of 3 replays: m"),
        ([FIXED, DIVERGED], 3, "DIVERGED in 1 of 2 replays: m"),
        ([DIVERGED, FAILS], 1, "STILL FAILS in 1 of 2 replays: m"),
        ([FIXED, FIXED], 0, "FIXED in 2 of 2 replays: m"),
    ],
)
def test_the_worst_replay_decides(
    outcomes: list[ReplayOutcome],
    code: int,
    said: str,
    folder: Path,
    replays: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Failing once outweighs everything, and a difference outweighs a fix."""
    replays(*outcomes)
    assert main(["replay", "--times", str(len(outcomes))]) == code
    assert capsys.readouterr().out.splitlines()[-1] == said


def test_a_divergence_shows_its_first_difference(
    folder: Path, replays: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The difference is shown beside the steps that were recorded; nothing in it is obeyed as markup."""
    replays(DIVERGED, difference="step 2 was [red]a[/red]\x1b, and is b")
    assert main(["replay"]) == 3
    out = capsys.readouterr().out
    assert "first difference: step 2 was [red]a[/red]\ufffd, and is b\n" in out
    assert "the recorded steps:" in out
    assert "goes on" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nope"], 2, f"No failure named 'nope' in .oversell/runs. The newest: {FAILURE.id}."),
        (["nope.json"], 2, "No failure file at nope.json"),
        (["elsewhere/f"], 2, "No failure file at elsewhere/f"),
        (["broken.json"], 3, "inconclusive: An artifact could not be read: broken.json"),
        (["--target", "specimen:atomix"], 2, "Did you mean 'atomic'?"),
        (["--times", "0"], 2, "--times"),
        (["--runs", "empty"], 2, "No failure named 'latest' in empty. The newest: none yet."),
    ],
)
def test_what_cannot_be_replayed_is_told(
    words: list[str], code: int, said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown name is a usage error that lists those there are; a broken file is inconclusive."""
    (folder / "broken.json").write_text("{")
    assert main(["replay", *words]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_target_with_a_password_is_asked_for_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Passwords are not kept, so the target has to be named."""
    write_failure(folder / "f.json", replace(FAILURE, target="http://me:secret@127.0.0.1:1/"))
    assert main(["replay", "f.json"]) == 2
    said = capsys.readouterr().err
    assert "Name the target again with --target" in said
    assert "secret" not in said
