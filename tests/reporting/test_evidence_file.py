from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from harness.errors import InconclusiveError
from harness.model import Evidence
from harness.reporting import gather_evidence, read_evidence, write_evidence
from harness.reporting.evidence_file import from_zero
from harness.reporting.plain import from_plain, to_plain
from tests.reporting.samples import KEPT, OVERSOLD_EVIDENCE, VIOLATED_REPORT, evidences

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@given(evidences)
def test_any_evidence_survives_the_file(evidence: Evidence) -> None:
    """Evidence that was written as JSON is read again as the same evidence."""
    assert from_plain(Evidence, json.loads(json.dumps(to_plain(evidence)))) == evidence


def test_a_run_leaves_its_evidence(finished: Callable[..., Path]) -> None:
    """The evidence lies where the violation says, its times relative to the first operation."""
    found = read_evidence(finished(VIOLATED_REPORT) / KEPT)
    assert found == from_zero(OVERSOLD_EVIDENCE)
    assert min(call.invoked for call in found.history) == 0


def test_evidence_says_where_it_comes_from(tmp_path: Path) -> None:
    """The file names its engine and run beside scenario, history, states and books."""
    write_evidence(tmp_path / "deep" / "e.json", OVERSOLD_EVIDENCE, engine="burst", run=3)
    data = json.loads((tmp_path / "deep" / "e.json").read_bytes())
    fields = ["scenario", "history", "books", "states", "incidents", "afterwards"]
    assert list(data) == ["engine", "run", *fields]
    assert data["history"][0]["operation"] == {"kind": "reserve", "ticket": "general", "person": "buyer-1"}


def test_text_that_cannot_be_encoded_is_kept(tmp_path: Path) -> None:
    """A lone surrogate, which UTF-8 has no bytes for, comes back from the file."""
    write_evidence(tmp_path / "e.json", _saying("\udcff\x00"), engine="burst", run=1)
    assert read_evidence(tmp_path / "e.json") == from_zero(_saying("\udcff\x00"))


def test_truncated_evidence_is_told_wherever_it_ends(tmp_path: Path) -> None:
    """A file cut anywhere is an artifact that cannot be read, in one line that names the file."""
    write_evidence(tmp_path / "e.json", OVERSOLD_EVIDENCE, engine="burst", run=1)
    whole = (tmp_path / "e.json").read_bytes()
    for length in range(0, len(whole) - 2, len(whole) // 40):
        (tmp_path / "e.json").write_bytes(whole[:length])
        with pytest.raises(InconclusiveError, match=r"e\.json: not valid JSON") as caught:
            read_evidence(tmp_path / "e.json")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("history", 3, "evidence.history is a number, not a list"),
        ("history", [{"index": 0}], r"evidence.history\[0\] has no client"),
        ("scenario", {"tickets": [], "phases": []}, "at least one operation"),
        ("books", None, "evidence.books is null, not an object"),
    ],
)
def test_malformed_evidence_is_told(tmp_path: Path, part: str, value: object, message: str) -> None:
    """A file that is JSON and no evidence is told with the place that is wrong."""
    data = to_plain(OVERSOLD_EVIDENCE) | {part: value}
    (tmp_path / "e.json").write_text(json.dumps(data))
    with pytest.raises(InconclusiveError, match=message):
        read_evidence(tmp_path / "e.json")


def test_an_unknown_operation_is_told(tmp_path: Path) -> None:
    """An operation of a kind from another version is named."""
    data = to_plain(OVERSOLD_EVIDENCE)
    data["history"][0]["operation"]["kind"] = "teleport"
    (tmp_path / "e.json").write_text(json.dumps(data))
    with pytest.raises(InconclusiveError, match="unknown operation kind 'teleport'"):
        read_evidence(tmp_path / "e.json")


def test_evidence_is_looked_for_inside_the_run_only(finished: Callable[..., Path], tmp_path: Path) -> None:
    """A verdict that names a file elsewhere does not make us read it."""
    folder = finished(VIOLATED_REPORT)
    (folder / KEPT).rename(tmp_path / "outside.json")
    (folder / KEPT).symlink_to(tmp_path / "outside.json")
    found, troubles = gather_evidence(VIOLATED_REPORT, folder)
    assert not found
    assert "leads out of the run folder" in troubles[0]


def _saying(detail: str) -> Evidence:
    data = to_plain(OVERSOLD_EVIDENCE)
    data["history"][0]["answer"]["detail"] = detail
    evidence: Evidence = from_plain(Evidence, data)
    return evidence
