from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from harness.content import content
from harness.errors import InconclusiveError
from harness.reporting import read_report, report_from_dict, report_to_dict
from tests.reporting.samples import SAFE_REPORT, UNDECIDED_REPORT, VIOLATED_REPORT, reports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model import Report

SCHEMA: dict[str, Any] = json.loads((content("reports") / "verdict.schema.json").read_text("utf-8"))
EVERY = [VIOLATED_REPORT, SAFE_REPORT, UNDECIDED_REPORT]


def _closed(schema: Any) -> Any:
    """Return the schema with every field it does not describe forbidden and every one it does required."""
    closed = deepcopy(schema)
    for part in (closed, *closed["$defs"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
            part["required"] = list(part["properties"])
    return closed


PUBLISHED = Draft202012Validator(SCHEMA)
CLOSED = Draft202012Validator(_closed(SCHEMA))


def test_the_schema_is_itself_valid() -> None:
    """The published schema is a draft 2020-12 schema in which every field has a description."""
    Draft202012Validator.check_schema(SCHEMA)
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        assert all(field["description"] for field in part.get("properties", {}).values())


@pytest.mark.parametrize("report", EVERY, ids=lambda report: report.verdict)
def test_written_documents_follow_the_schema(report: Report, finished: Callable[..., Path]) -> None:
    """The verdict.json of a run is valid by the published schema, and has no field it leaves out."""
    document = json.loads((finished(report) / "verdict.json").read_bytes())
    PUBLISHED.validate(document)
    CLOSED.validate(document)


@given(reports)
def test_any_report_follows_the_schema(report: Report) -> None:
    """Whatever a report holds, its document has exactly the documented fields."""
    CLOSED.validate(json.loads(json.dumps(report_to_dict(report))))


@given(reports)
def test_a_report_survives_the_document(report: Report) -> None:
    """A report that was written as JSON is read again as the same report."""
    assert report_from_dict(json.loads(json.dumps(report_to_dict(report)))) == report


def test_a_field_too_many_is_allowed_by_the_schema_and_noticed_by_us() -> None:
    """Readers of today accept the fields of tomorrow; our own closed check does not let one slip out."""
    document = report_to_dict(VIOLATED_REPORT) | {"tomorrow": 1}
    PUBLISHED.validate(document)
    assert not CLOSED.is_valid(document)
    assert report_from_dict(document) == VIOLATED_REPORT


def test_the_promised_fields_are_there() -> None:
    """The fields that were promised first keep their names and their shape."""
    document = report_to_dict(VIOLATED_REPORT)
    check, violation = document["checks"][0], document["checks"][0]["violations"][0]
    assert {"verdict", "target", "database", "seed", "started", "seconds", "checks"} <= set(document)
    assert {"runs", "hits", "operations", "commits_audited", "schedules", "exhausted"} <= set(check)
    assert {"law", "message", "ticket", "initial", "remaining", "sold", "held", "replay"} <= set(violation)
    assert check["laws"] == {
        "no_oversell": "violated",
        "never_negative": "held",
        "counters_agree": "not judged",
    }


def test_an_older_document_is_still_read() -> None:
    """A document that lacks the fields added since is read, their defaults filled in."""
    document = report_to_dict(SAFE_REPORT)
    del document["reasons"], document["not_run"]
    for check in document["checks"]:
        del check["not_judged"], check["outcomes"], check["spread_ms"]
    assert report_from_dict(document).checks[0].spread_ms is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"checks": {}}',
        '{"checks": [1]}',
        '{"checks": []}',
        '{"checks": [{"laws": 3}]}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_a_broken_document_is_an_artifact_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """A broken verdict.json is told in one line that names the file."""
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(InconclusiveError, match=r"could not be read: .*verdict\.json: ") as caught:
        read_report(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "fine"}, "verdict.verdict is 'fine'; valid: safe, violated, inconclusive"),
        ({"seed": "1"}, "verdict.seed is a text, not a number"),
        ({"seed": True}, "verdict.seed is true or false, not a number"),
        ({"reasons": None}, "verdict.reasons is null, not a list"),
        ({"not_run": [{}]}, r"verdict.not_run\[0\] has no scenario, engine, reason, asked_for"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], message: str) -> None:
    """What is wrong in a document is said with its place."""
    with pytest.raises(ValueError, match=message):
        report_from_dict(report_to_dict(SAFE_REPORT) | change)


def test_a_missing_document_is_told(tmp_path: Path) -> None:
    """A run folder without a verdict.json cannot be reported on."""
    with pytest.raises(InconclusiveError, match="No such file"):
        read_report(tmp_path)
