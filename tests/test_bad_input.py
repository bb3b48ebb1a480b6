"""What bad input gets from the real command: one clear message, the right exit code, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.commandline import oversell

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_CHECK = ("--database", "embedded", "--engine", "burst", "--scenario", "last_ticket", "--rounds", "2")
SAFE, VIOLATED, USAGE, INCONCLUSIVE = 0, 1, 2, 3

root_only = pytest.mark.skipif(
    os.geteuid() != 0, reason="a small file system can only be mounted by root; CI runs as root"
)


@contextlib.contextmanager
def small_disk(where: Path, options: str) -> Iterator[Path]:
    """Mount a file system that is full in no time."""
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)  # noqa: S607  # where PATH has it
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)  # noqa: S607  # where PATH has it


def carrying(mark: str) -> list[str]:
    """Return the processes that inherited this mark in their environment, zombies left out."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def about_us(said: str) -> list[str]:
    """Return the lines in which the command speaks about itself."""
    return [line for line in said.splitlines() if line.startswith("oversell: ")]


@root_only
@pytest.mark.parametrize(("target", "code"), [("specimen:atomic", SAFE), ("specimen:naive", VIOLATED)])
def test_a_full_disk_in_the_run_folder_changes_no_verdict(target: str, code: int, tmp_path: Path) -> None:
    """The verdict was found: exit code and document stand, and one line says what could not be written."""
    mark = f"oversell-test-{os.getpid()}-{tmp_path.name}"
    with small_disk(tmp_path / "small", "size=16k") as small:
        words = ("--target", target, "--json", "--runs", str(small / "runs"))
        done = oversell("check", *ONE_CHECK, *words, cwd=tmp_path, OVERSELL_TEST_MARK=mark)
        assert done.returncode == code, done.stderr
        told = [line for line in done.stderr.splitlines() if "No space left on device" in line]
        assert len(told) == 1
        assert "The verdict is not affected" in told[0]
        assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["verdict"] == ("safe" if code == SAFE else "violated")
    assert carrying(mark) == []


@root_only
def test_a_run_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    """Not even a folder fits: nothing is started, and the message names the way out."""
    mark = f"oversell-test-{os.getpid()}-{tmp_path.name}"
    with small_disk(tmp_path / "small", "size=4k,nr_inodes=2") as small:
        done = oversell(
            "check", *ONE_CHECK, "--runs", str(small / "runs"), cwd=tmp_path, OVERSELL_TEST_MARK=mark
        )
    assert done.returncode == USAGE, done.stderr
    (line,) = about_us(done.stderr)
    assert "No space left on device" in line
    assert "--runs DIR" in line
    assert carrying(mark) == []


def test_a_file_where_the_run_folder_should_be_is_a_usage_error(tmp_path: Path) -> None:
    """It is not overwritten."""
    (tmp_path / "runs").write_text("precious")
    done = oversell("check", *ONE_CHECK, "--runs", "runs", cwd=tmp_path)
    assert done.returncode == USAGE, done.stderr
    assert len(about_us(done.stderr)) == 1
    assert (tmp_path / "runs").read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scenario", "rusch"), "Did you mean 'rush'? Valid: after_the_deadline, "),
        (("--engine", "brust"), "Did you mean 'burst'? Valid: burst"),
        (("--target", "nowhere_at_all:shop"), "No module named 'nowhere_at_all'; looked in "),
        (("--target", "http://me:secret@127.0.0.1:1"), "must not hold a user name or password"),
        (("--database", "nonsense"), "nonsense"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Exit code 2, one line, no password in it, and no run folder that says nothing."""
    done = oversell("check", *words, cwd=tmp_path)
    assert done.returncode == USAGE, done.stderr
    (line,) = about_us(done.stderr)
    assert said in line
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob(".oversell/runs/2*")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def scenario(buyers: int = 3) ->\n", "broken.py, line 1"),
        ("import sys; sys.exit(0)\n", "SystemExit: 0"),
    ],
)
def test_a_scenario_file_that_is_none_is_named(text: str, said: str, tmp_path: Path) -> None:
    """Also when it would end the process with exit code 0: that must never read as a pass."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "broken.py").write_text(text)
    done = oversell("check", "--database", "embedded", "--scenario", "broken", cwd=tmp_path)
    assert done.returncode == USAGE, done.stderr
    (line,) = about_us(done.stderr)
    assert said in line


def test_two_scenarios_of_one_name_are_refused(tmp_path: Path) -> None:
    """A file of one's own named like a shipped one, and not the same."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "rush.py").write_text("def scenario(buyers=3): ...\n")
    done = oversell("check", cwd=tmp_path)
    assert done.returncode == USAGE, done.stderr
    assert "Two scenarios are named 'rush'" in about_us(done.stderr)[0]


MORTAL = """
import contextlib, os
from harness.specimens.atomic import Atomic

class Target(Atomic):
    name = "mine"
{body}
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "    async def install(self, database): raise RuntimeError(f'no way to {database}')",
            "loading its schema",
        ),
        ("    async def reserve(self, db, ticket, operation): return 'sold'", "which is no Answer"),
        ("    async def reserve(self, db, ticket, operation): raise SystemExit(0)", "SystemExit: 0"),
        ("    def start(self, database, folder): return 3", "starting"),
    ],
)
def test_a_target_that_misbehaves_is_inconclusive(body: str, said: str, tmp_path: Path) -> None:
    """Its fault is the reason, in the document too; it is no bug of ours and no pass; no password is told."""
    (tmp_path / "mine.py").write_text(MORTAL.format(body=body))
    done = oversell("check", *ONE_CHECK, "--target", "mine:Target", "--json", cwd=tmp_path)
    assert done.returncode == INCONCLUSIVE, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"] == "inconclusive"
    assert said in " ".join(document["reasons"])
    assert "Traceback" not in done.stderr
    kept = [path for path in (tmp_path / ".oversell/runs/latest").rglob("*") if path.is_file()]
    assert kept
    for text in (done.stderr, done.stdout, *(path.read_text() for path in kept)):
        assert not re.search(r"postgres:[^*\\]", text)
