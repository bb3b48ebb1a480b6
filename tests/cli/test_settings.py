"""Where settings come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from harness.cli._options import SETTINGS, settings
from harness.cli._policy import Session, guard
from harness.cli._reference import with_table
from harness.engines import default_engines
from tests.cli.commandline import without_settings

ROOT = Path(__file__).parents[2]


@click.command()
@settings("target", "rounds", "scenario", "runs", "max-time", "json")
def command(**chosen: Any) -> dict[str, Any]:
    """Return what was chosen."""
    return chosen


def chosen(*words: str) -> dict[str, Any]:
    with command.make_context("probe", list(words)) as context:
        found: dict[str, Any] = command.invoke(context)
        return found


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a refused command line gets."""
    assert guard(lambda: len(chosen(*words)), Session()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, which is the current one."""
    without_settings(tmp_path, monkeypatch)
    return tmp_path


def test_flag_beats_environment_beats_file_beats_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first place that says something wins, and each place is heard when those before it are silent."""
    assert chosen()["rounds"] is None
    (folder / "oversell.toml").write_text("rounds = 3")
    assert chosen()["rounds"] == 3
    monkeypatch.setenv("OVERSELL_ROUNDS", "4")
    assert chosen()["rounds"] == 4
    assert chosen("--rounds", "5")["rounds"] == 5


def test_a_place_that_names_scenarios_replaces_those_of_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists are not added up, so that a flag can narrow what a file says."""
    (folder / "oversell.toml").write_text('scenario = ["a", "b"]')
    assert chosen()["scenario"] == ("a", "b")
    monkeypatch.setenv("OVERSELL_SCENARIO", "c d")
    assert chosen()["scenario"] == ("c", "d")
    assert chosen("--scenario", "e")["scenario"] == ("e",)


def test_what_a_file_turns_on_a_flag_turns_off(folder: Path) -> None:
    """Every switch has an off position."""
    (folder / "oversell.toml").write_text("json = true")
    assert chosen()["json"] is True
    assert chosen("--no-json")["json"] is False


def test_folders_in_a_file_are_relative_to_that_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository's settings mean the same in each of its folders."""
    (folder / ".git").mkdir()
    (folder / "oversell.toml").write_text('runs = "out"')
    (folder / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep" / "er")
    assert chosen()["runs"] == folder / "out"


def test_settings_are_looked_for_up_to_the_repository_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies above the repository, or above a folder outside of one, does not count."""
    (folder / "oversell.toml").write_text("rounds = 3")
    inside = folder / "repository" / "src"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert chosen()["rounds"] is None
    (inside.parent / ".git").mkdir()
    assert chosen()["rounds"] is None
    (inside.parent / "pyproject.toml").write_text("[tool.oversell]\nrounds = 7")
    assert chosen()["rounds"] == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roundz = 3", ["oversell.toml", "No setting named 'roundz'", "Did you mean 'rounds'?", "max-time"]),
        ('rounds = "3"', ["oversell.toml, key rounds", "a whole number", "'3'"]),
        ("rounds = true", ["oversell.toml, key rounds", "a whole number"]),
        ("rounds = 0", ["oversell.toml, key rounds", "x>=1"]),
        ("scenario = [1]", ["oversell.toml, key scenario", "list of strings"]),
        ('max-time = "5"', ["oversell.toml, key max-time", "5m"]),
        ("json = 1", ["oversell.toml, key json", "true or false"]),
        ("rounds =\nx = 1", ["oversell.toml is not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, said: list[str]
) -> None:
    """Nothing in a settings file is silently ignored."""
    (folder / "oversell.toml").write_text(text)
    line = refusal(capsys)
    assert all(words in line for words in said), line


def test_two_files_with_settings_in_one_folder_contradict_each_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has to guess which of two files is the one that counts."""
    (folder / "oversell.toml").write_text("rounds = 3")
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert chosen()["rounds"] == 3
    (folder / "pyproject.toml").write_text("[tool.oversell]\nrounds = 4")
    line = refusal(capsys)
    assert "oversell.toml" in line
    assert "pyproject.toml" in line


def test_a_variable_that_sets_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A gate with a misspelt variable would judge something else than was meant."""
    monkeypatch.setenv("OVERSELL_TARGTE", "service")
    assert "Did you mean 'OVERSELL_TARGET'?" in refusal(capsys)


def test_a_wrong_variable_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person who set a variable is told about the variable, not about a flag."""
    monkeypatch.setenv("OVERSELL_ROUNDS", "many")
    assert "OVERSELL_ROUNDS: 'many'" in refusal(capsys)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("90s", 90), ("1.5m", 90), ("1h30m", 5400), ("2H", 7200)]
)
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    """Lengths of time are converted to seconds."""
    assert chosen("--max-time", text)["max_time"] == seconds


@pytest.mark.parametrize("text", ["5", "0s", "-5s", "5 minutes", "m", "", "5m x"])
def test_what_is_no_duration_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """A bare number could mean seconds or minutes, and no time at all is never meant."""
    assert "valid: 250ms, 90s, 5m, 1h30m" in refusal(capsys, "--max-time", text)


def test_the_default_of_engines_is_shown_as_it_is() -> None:
    """Engines that take long, or break things, only drive when they are named."""
    names = [engine.name for engine in default_engines()]
    assert SETTINGS["engine"].shown == f"{', '.join(names[:-1])} and {names[-1]}"


def test_the_documented_table_is_the_real_one() -> None:
    """docs/settings.md is made from the settings; make it anew with python -m harness.cli._reference."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == with_table(page)
