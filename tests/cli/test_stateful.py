"""The stateful engine as a person runs it: what is drawn again, what is kept, what an interruption leaves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from harness.cli import main
from tests.cli.commandline import OVERSELL, carrying, environment, oversell

if TYPE_CHECKING:
    from collections.abc import Iterator

STATEFUL = ("check", "--database", "embedded", "--engine", "stateful", "--scenario", "last_ticket")
WRONG = ("--target", "specimen:check_then_decrement")
RIGHT = ("--target", "specimen:guarded_update")
NIGHTLY = ("--profile", "nightly", "--max-time")
DECORATOR = re.compile(r"@reproduce_failure\('[^']+', b'[^']+'\)")


SIGN_OF_LIFE = re.compile(r"anything / stateful: [\d,]+ of [\d,]+ runs")


def drawn(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Draw examples, and return the exit code, the one check in the document, and what was said."""
    done = oversell(*STATEFUL, *words, "--json", cwd=folder, timeout=180)
    assert done.stdout, done.stderr
    (check,) = json.loads(done.stdout)["checks"]
    return done.returncode, check, done.stderr


def failures(folder: Path) -> list[str]:
    """Return the ids of what the latest run in a folder has kept."""
    return sorted(file.stem for file in folder.glob(".oversell/runs/latest/failures/*.json"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the race was found."""
    folder = tmp_path_factory.mktemp("found")
    code, _, said = drawn(folder, *WRONG, "--seed", "1")
    assert code == 1, said
    return folder


@pytest.fixture(scope="module")
def decorator(found: Path) -> str:
    """How Hypothesis draws again what was found."""
    (file,) = found.glob(".oversell/runs/latest/failures/*.json")
    (text,) = DECORATOR.findall(json.loads(file.read_text())["reproduction"])
    return str(text)


def test_the_same_seed_finds_the_same_failure(found: Path, tmp_path: Path) -> None:
    """In another folder, on another database: the same id."""
    code, _, said = drawn(tmp_path, *WRONG, "--seed", "1")
    assert code == 1, said
    assert failures(tmp_path) == failures(found) != []


def test_what_failed_fails_when_it_is_drawn_again(found: Path, decorator: str, tmp_path: Path) -> None:
    """Exit code 1 by that one example, whatever the seed."""
    code, check, said = drawn(tmp_path, *WRONG, "--seed", "2", "--reproduce", decorator)
    assert (code, check["runs"]) == (1, 1), said
    assert failures(tmp_path) == failures(found)


def test_one_example_that_holds_says_little(decorator: str, tmp_path: Path) -> None:
    """Exit code 3, and why: it was one example."""
    code, check, said = drawn(tmp_path, *RIGHT, "--reproduce", decorator)
    assert (code, check["verdict"], check["runs"]) == (3, "inconclusive", 1), said
    assert "the one example that was to be drawn broke no law: every law held" in check["reasons"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@reproduce_failure('{version}', b'no blob!')", "is nothing that can be drawn again. Valid: "),
        ("{version}", "is nothing that can be drawn again. Valid: "),
        (
            "@reproduce_failure('1.2.3', b'AXicY2BgAAAABAAB')",
            "It was drawn by Hypothesis 1.2.3, and this is ",
        ),
    ],
)
def test_what_cannot_be_drawn_again_is_refused(
    text: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and one line, before anything is started."""
    monkeypatch.chdir(tmp_path)
    assert main([*STATEFUL, *WRONG, "--reproduce", text.format(version=hypothesis.__version__)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_mean_nothing_here_are_inconclusive(tmp_path: Path) -> None:
    """They look like an example, and draw none of this scenario's."""
    broken = f"@reproduce_failure('{hypothesis.__version__}', b'AXicY2BgAAAABAAB')"
    code, check, said = drawn(tmp_path, *WRONG, "--reproduce", broken)
    assert (code, check["verdict"]) == (3, "inconclusive"), said
    assert any(reason.startswith("the one example that was to be drawn") for reason in check["reasons"])


def test_a_gate_leaves_nothing_but_its_report(found: Path) -> None:
    """No example is kept, and Hypothesis writes nothing of its own."""
    assert [path.name for path in found.iterdir()] == [".oversell"]
    assert sorted(path.name for path in (found / ".oversell").iterdir()) == [".gitignore", "runs"]
    assert list(found.rglob(".hypothesis")) == []


def test_the_next_night_begins_with_what_failed(tmp_path: Path) -> None:
    """Another seed finds the same at once; what another version drew is left alone, which is said once."""
    other = tmp_path / ".oversell/examples/0-hypothesis-1.2.3/last_ticket-0"
    other.mkdir(parents=True)
    (other / "example").write_bytes(b"kept")
    code, first, said = drawn(tmp_path, *WRONG, *NIGHTLY, "10s", "--seed", "1")
    assert code == 1, said
    assert said.count("drawn by another version are left alone: 0-hypothesis-1.2.3") == 1
    kept = failures(tmp_path)
    code, second, said = drawn(tmp_path, *WRONG, *NIGHTLY, "10s", "--seed", "2")
    assert code == 1, said
    assert "another version" not in said
    assert failures(tmp_path) == kept
    assert second["runs"] <= min(first["runs"], _TOUR + 1)
    assert (other / "example").read_bytes() == b"kept"
    assert list(tmp_path.rglob(".hypothesis")) == []
    assert [path.name for path in tmp_path.iterdir()] == [".oversell"]


_TOUR = 2
"""Examples that are walked before any is drawn: one by one, and the race."""


def test_a_night_whose_examples_can_be_kept_nowhere_does_not_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or it would draw until the morning and keep nothing, without a word."""
    (tmp_path / "file").touch()
    words = [*STATEFUL, *NIGHTLY, "5s", "--runs", str(tmp_path / "runs")]
    assert main([*words, "--examples", str(tmp_path / "file" / "examples")]) == 2
    assert "No examples can be kept in" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_check_leaves_nothing_running(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole process group: exit code 3, a document that says so, and no process."""
    with endless_night(tmp_path) as (running, mark):
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate(timeout=60)[1]
        assert running.returncode == 3, said
        assert carrying(mark) == {}
    document = json.loads((tmp_path / ".oversell/runs/latest/verdict.json").read_text())
    assert document["verdict"] == "inconclusive"
    assert any("interrupted" in reason for reason in document["reasons"])
    assert "Traceback" not in said
    assert list(tmp_path.rglob(".hypothesis")) == []


@contextlib.contextmanager
def endless_night(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a check that draws, in a process group of its own, and the mark in its environment."""
    mark = f"oversell-test-{os.getpid()}-{folder.name}"
    with subprocess.Popen(
        [*OVERSELL, *STATEFUL[:-1], "anything", *RIGHT, *NIGHTLY, "1h"],
        cwd=folder,
        env=environment(OVERSELL_TEST_MARK=mark),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stderr is not None
            # A sign of life that counts examples, so that some have been drawn.
            assert any(SIGN_OF_LIFE.search(line) for line in running.stderr)
            assert len(carrying(mark)) > 1
            yield running, mark
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
