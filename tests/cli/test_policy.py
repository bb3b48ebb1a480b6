"""Errors become one line and one exit code."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from harness.cli._policy import Session, guard
from harness.errors import TargetFailedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def outcome(error: BaseException, session: Session | None = None) -> int:
    def action() -> int:
        raise error

    return guard(action, session or Session())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("asked for too much"), 2),
        (TargetFailedError("it died"), 3),
        (ExceptionGroup("two", [TargetFailedError("it died"), UsageError("asked for too much")]), 2),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere"), 3),
        (KeyboardInterrupt(), 3),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose fault it was decides the exit code, and one line says what it was."""
    assert outcome(error) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("oversell: ")


def test_a_bug_of_ours_leaves_its_traceback_in_the_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, one line that names the file, and no password in either."""
    error = ZeroDivisionError("postgresql://me:secret@127.0.0.1/x")
    assert outcome(error, Session(folder=tmp_path)) == 4
    (kept,) = tmp_path.iterdir()
    said = capsys.readouterr().err
    assert str(kept) in said
    assert "ZeroDivisionError" in kept.read_text()
    assert "secret" not in said + kept.read_text()


def test_one_bug_among_expected_errors_is_a_bug(tmp_path: Path) -> None:
    """A group that holds an error nobody foresaw is never read as the person's fault."""
    group = ExceptionGroup("two", [UsageError("x"), ExceptionGroup("inner", [KeyError("y")])])
    assert outcome(group, Session(folder=tmp_path)) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ["Name a command", "check", "oversell --help"]),
        (["chekc"], ["No command named 'chekc'", "Did you mean 'check'?"]),
        (["check", "--scenaro", "rush"], ["No option named '--scenaro'", "'--scenario'", "--database"]),
        (["check", "--scenario", "rusch"], ["No scenario named 'rusch'", "Did you mean 'rush'?"]),
        (["check", "--engine", "brust"], ["No engine named 'brust'", "burst"]),
        (["check", "--law", "no_overselling"], ["No law named", "no_oversell"]),
        (["check", "--target", "specimen:naiv"], ["naiv", "naive"]),
        (["check", "--quiet", "--verbose"], ["--quiet", "--verbose"]),
        (["new", "scenario", "Rush Hour"], ["'Rush Hour'", "group_booking"]),
        (["new", "scenario", "rush"], ["already"]),
        (["list", "engine"], ["engines"]),
    ],
)
def test_a_wrong_command_line_is_answered_with_what_is_valid(
    words: list[str],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one line on standard error, nothing on standard output, nothing left in the folder."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    assert all(word in line for word in said), line
    assert list(tmp_path.iterdir()) == []
