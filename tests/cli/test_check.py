"""The gate as a pipeline runs it: real processes, a real Postgres."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from tests.cli.commandline import OVERSELL, carrying, environment, oversell
from tests.turns import await_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EMBEDDED = ("--database", "embedded")


def test_a_right_implementation_is_safe_from_an_empty_folder(tmp_path: Path) -> None:
    """Exit code 0; standard output is the document alone; the folder gains only .oversell."""
    done = oversell(
        "check", *EMBEDDED, "--scenario", "rush", "--rounds", "3", "--seed", "7", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["verdict"], document["seed"]) == ("safe", 7)
    assert [path.name for path in tmp_path.iterdir()] == [".oversell"]
    assert (tmp_path / ".oversell" / ".gitignore").read_text() == "*\n"
    assert json.loads((tmp_path / ".oversell/runs/latest/verdict.json").read_text()) == document


def test_a_wrong_implementation_is_violated(tmp_path: Path) -> None:
    """Exit code 1, and the report says which law was broken, even when asked to be quiet."""
    words = ("--target", "specimen:naive", "--scenario", "last_ticket", "--rounds", "3", "--quiet")
    done = oversell("check", *EMBEDDED, *words, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "no_oversell" in done.stderr
    assert done.stdout == ""


def test_a_scenario_that_prints_does_not_spoil_the_document(tmp_path: Path) -> None:
    """What a scenario writes to standard output ends up on standard error."""
    assert oversell("new", "scenario", "chatty", cwd=tmp_path).returncode == 0
    file = tmp_path / "scenarios" / "chatty.py"
    file.write_text(file.read_text() + "\nprint('hello')\nimport os\nos.write(1, b'hello again')\n")
    words = ("--scenario", "chatty", "--rounds", "1", "--json")
    done = oversell("check", *EMBEDDED, *words, cwd=tmp_path)
    assert json.loads(done.stdout)["checks"][0]["scenario"] == "chatty"
    assert "hello again" in done.stderr


def test_a_new_scenario_runs_as_it_is(tmp_path: Path) -> None:
    """What `oversell new scenario` writes is found by name, driven and judged safe; it is not overwritten."""
    made = oversell("new", "scenario", "group_booking", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert oversell("new", "scenario", "group_booking", cwd=tmp_path).returncode == 2
    words = ("--scenario", "group_booking", "--rounds", "2")
    done = oversell("check", *EMBEDDED, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_nobody_at_the_database_url_is_a_usage_error_without_the_password(tmp_path: Path) -> None:
    """Exit code 2, one line, no run folder that says nothing, and the password in no line of it."""
    url = "postgresql://me:secret@127.0.0.1:1/none"
    done = oversell("check", "--database", url, "--scenario", "rush", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "secret" not in done.stderr + done.stdout
    assert done.stderr.splitlines()[-1].startswith("oversell: ")
    assert list((tmp_path / ".oversell/runs").glob("2*")) == []


def test_a_closed_standard_output_changes_no_verdict(tmp_path: Path) -> None:
    """A reader that goes away early gets no document; the exit code is still the verdict's."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*OVERSELL, "check", *EMBEDDED, "--scenario", "rush", "--rounds", "1", "--json"],
            cwd=tmp_path,
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_of_ours_in_the_middle_of_a_run_is_neither_a_verdict_nor_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, the traceback in the run folder, and a document that does not call it safe."""

    async def buggy(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.engines.run", buggy)
    assert main(["check", "--scenario", "rush"]) == 4
    latest = tmp_path / ".oversell/runs/latest"
    assert "ZeroDivisionError" in (latest / "internal-error.txt").read_text()
    assert str(latest.resolve().relative_to(tmp_path)) in capsys.readouterr().err
    assert _verdict(tmp_path)["verdict"] == "inconclusive"


def once(running: subprocess.Popen[str]) -> None:
    running.send_signal(signal.SIGINT)


def terminated(running: subprocess.Popen[str]) -> None:
    running.terminate()


@pytest.mark.parametrize("interrupt", [once, terminated])
def test_an_interrupted_run_leaves_a_verdict_and_nothing_running(
    interrupt: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    """Exit code 3, an inconclusive document on disk, and no process that this run has started."""
    with endless_run(tmp_path) as (running, mark):
        interrupt(running)
        said = communicate(running)
        assert running.returncode == 3, said
        assert carrying(mark) == {}
    assert "oversell: interrupted." in said
    assert _verdict(tmp_path)["verdict"] == "inconclusive"
    assert any("interrupted" in reason for reason in _verdict(tmp_path)["reasons"])


def test_a_run_interrupted_twice_leaves_nothing_running(tmp_path: Path) -> None:
    """Whether or not the second signal came while tidying: code 3, a document, and soon no process."""
    with endless_run(tmp_path) as (running, mark):
        once(running)
        once(running)
        said = communicate(running)
        assert running.returncode == 3, said
        for pid in carrying(mark):
            await_end(pid)
        assert carrying(mark) == {}
    assert _verdict(tmp_path)["verdict"] == "inconclusive"


@contextlib.contextmanager
def endless_run(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a run in which buyers are at work, and the mark in its and its children's environment."""
    mark = f"oversell-test-{os.getpid()}-{folder.name}"
    with subprocess.Popen(
        [*OVERSELL, "check", *EMBEDDED, "--scenario", "rush", "--rounds", "1000000"],
        cwd=folder,
        env=environment(OVERSELL_TEST_MARK=mark),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        # From this line on Postgres is up.
        assert any(line.startswith("checks") for line in running.stderr)
        assert len(carrying(mark)) > 1
        try:
            yield running, mark
        finally:
            running.kill()


def communicate(running: subprocess.Popen[str]) -> str:
    """Wait for the end and return what was said on standard error."""
    return running.communicate(timeout=30)[1]


def _verdict(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / ".oversell/runs/latest/verdict.json").read_text())
    return document
