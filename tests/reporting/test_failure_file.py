"""Failures on disk: kept whole, found by id, and told when broken."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from harness.errors import InconclusiveError, UsageError
from harness.model import Failure
from harness.reporting import find_failure, gather_failures, read_failure, write_failure
from harness.reporting.plain import from_plain, to_plain
from tests.reporting.samples import EXPLORED_REPORT, FAILURE, failures, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@given(failures)
def test_any_failure_survives_the_file(failure: Failure) -> None:
    """A failure that was written as JSON is read again as the same failure."""
    assert from_plain(Failure, json.loads(json.dumps(to_plain(failure)))) == failure


def test_a_run_leaves_its_failures(finished: Callable[..., Path]) -> None:
    """The failure lies under its id in the run folder, and nothing half-written beside it."""
    folder = finished(EXPLORED_REPORT)
    assert read_failure(folder / "failures" / f"{FAILURE.id}.json") == FAILURE
    assert [path.name for path in (folder / "failures").iterdir()] == [f"{FAILURE.id}.json"]
    assert gather_failures(EXPLORED_REPORT, folder) == ({FAILURE.id: FAILURE}, [])


def test_a_password_is_kept_nowhere_and_no_difference_to_a_replay(tmp_path: Path) -> None:
    """Passwords are replaced in what people read; the shapes that a replay compares are left as they are."""
    sql = "UPDATE accounts SET password=$2 WHERE id = $1"
    secret = replace(FAILURE, target="http://me:secret@shop", steps=(step("buyer-1", "execute", sql),))
    write_failure(tmp_path / "f.json", secret)
    found = read_failure(tmp_path / "f.json")
    assert "secret" not in (tmp_path / "f.json").read_text()
    assert found.steps[0].shape == secret.steps[0].shape


def made(root: Path, run: str, *names: str) -> None:
    """Write failures into a run's folder, one after the other."""
    for age, name in enumerate(names):
        path = root / run / "failures" / f"{name}.json"
        write_failure(path, replace(FAILURE, id=name))
        os.utime(path, ns=(age, age))


def test_an_id_is_looked_for_in_every_run_the_newest_first(tmp_path: Path) -> None:
    """A failure found again is replayed as it was found last; a prefix will do where it is unique."""
    made(tmp_path, "2026-01-01T00-00-00Z", "abc1", "abd2")
    made(tmp_path, "2026-01-02T00-00-00Z", "abc1")
    (tmp_path / "2026-01-03T00-00-00Z").mkdir()
    newest = tmp_path / "2026-01-02T00-00-00Z/failures/abc1.json"
    assert find_failure(tmp_path, "abc1") == find_failure(tmp_path, "abc") == newest
    assert find_failure(tmp_path, "abd").parent.parent.name == "2026-01-01T00-00-00Z"


def test_latest_is_the_last_of_the_newest_run_with_one(tmp_path: Path) -> None:
    """Runs without a failure since then do not hide it."""
    made(tmp_path, "2026-01-01T00-00-00Z", "zzz")
    made(tmp_path, "2026-01-02T00-00-00Z", "second", "first")
    (tmp_path / "2026-01-03T00-00-00Z").mkdir()
    assert find_failure(tmp_path, "latest").stem == "first"


def test_a_whole_id_is_no_prefix(tmp_path: Path) -> None:
    """An id that another one begins with is still found."""
    made(tmp_path, "2026-01-01T00-00-00Z", "ab", "abc")
    assert find_failure(tmp_path, "ab").stem == "ab"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", r"No failure named 'nope' in .*\. The newest: f11, f10, .*, f2 and 2 older\."),
        ("", "No failure named ''"),
        ("../2026-01-01T00-00-00Z/failures/f1", "No failure named"),
        ("f", "begin with 'f': f11, f10"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(tmp_path: Path, name: str, said: str) -> None:
    """An unknown or ambiguous id gets the newest ids; a path is no id."""
    made(tmp_path, "2026-01-01T00-00-00Z", *(f"f{number}" for number in range(12)))
    with pytest.raises(UsageError, match=said):
        find_failure(tmp_path, name)


@pytest.mark.parametrize("name", ["latest", "abc"])
def test_no_failures_yet(tmp_path: Path, name: str) -> None:
    """Without any failure the error says so."""
    with pytest.raises(UsageError, match="The newest: none yet"):
        find_failure(tmp_path, name)


def test_a_cut_failure_is_told_wherever_it_ends(tmp_path: Path) -> None:
    """A file cut anywhere is an artifact that cannot be read, in one line that names the file."""
    write_failure(tmp_path / "f.json", FAILURE)
    whole = (tmp_path / "f.json").read_bytes()
    for length in range(0, len(whole) - 2, len(whole) // 40):
        (tmp_path / "f.json").write_bytes(whole[:length])
        with pytest.raises(InconclusiveError, match=r"f\.json: not valid JSON") as caught:
            read_failure(tmp_path / "f.json")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("steps", 3, "failure.steps is a number, not a list"),
        ("steps", [{"client": "x"}], r"failure.steps\[0\] has no kind"),
        ("phase", 1, "failure.phase is 1, and the scenario has no such phase"),
        ("phase", -1, "no such phase"),
        ("laws", [], "failure.laws is empty"),
        ("choices", ["buyer-1", "mallory"], "names 'mallory', who has no program"),
        ("scenario", {"tickets": [], "phases": []}, "at least one operation"),
        ("answers", [], "failure.answers is a list, not an object"),
    ],
)
def test_a_malformed_failure_is_told(tmp_path: Path, part: str, value: Any, message: str) -> None:
    """A file that is JSON and no failure is told with the place that is wrong."""
    (tmp_path / "f.json").write_text(json.dumps(to_plain(FAILURE) | {part: value}))
    with pytest.raises(InconclusiveError, match=message):
        read_failure(tmp_path / "f.json")


def test_a_failure_that_is_missing_is_told(finished: Callable[..., Path]) -> None:
    """A report whose failure is gone names the file, and is still shown."""
    folder = finished(EXPLORED_REPORT)
    (folder / "failures" / f"{FAILURE.id}.json").unlink()
    found, troubles = gather_failures(EXPLORED_REPORT, folder)
    assert not found
    assert f"{FAILURE.id}.json" in troubles[0]
