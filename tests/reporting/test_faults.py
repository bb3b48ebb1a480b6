"""What was broken, told: numbers, the table, the findings; and failures with faults on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from harness.content import content
from harness.errors import InconclusiveError
from harness.model import ChaosFigures, FaultFinding, FaultRow, FaultTable, Injection, Mark
from harness.reporting import read_failure, read_report, report_to_dict
from harness.reporting.failure_file import write_failure
from harness.reporting.faults import figures, grid, lines_broken, lines_chaos, lines_found, lines_grid
from harness.reporting.junit import render_junit
from harness.reporting.markdown import render_markdown
from harness.reporting.page import render_page
from tests.reporting.samples import FAILURE, VIOLATED_REPORT

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Report

COLUMNS = ("cut before", "answer lost", "killed", "never applies")


def row(step: int, short: str, **marks: Mark) -> FaultRow:
    """Return a row of the first buyer's."""
    return FaultRow(
        phase=0,
        client="buyer-1",
        operation="reserve",
        number=0,
        step=step,
        statement=f"{short} …",
        short=short,
        marks={name.replace("_", " "): mark for name, mark in marks.items()},
    )


TABLE = FaultTable(
    faults=COLUMNS,
    rows=(
        row(1, "UPDATE tickets", cut_before=Mark.HELD, killed=Mark.NOT_JUDGED),
        row(2, "the commit of UPDATE tickets", answer_lost=Mark.VIOLATED, killed=Mark.UNEXPLORED),
        row(3, "INSERT INTO rsvps", cut_before=Mark.NOT_FIRED, killed=Mark.HELD),
    ),
    findings=(
        FaultFinding(
            law="no_leak", fault="answer lost", message="the answer was lost: 1 vanished.", replay="ab12"
        ),
    ),
    pairs=3,
    pairs_unexplored=1_497,
    made_good=0.4,
    reasons=("killed: not here",),
)


CHAOS = ChaosFigures(
    rate=0.01,
    steps=120_000,
    shares={"cut before": 0.075, "answer lost": 0.9, "rows locked": 0.025},
    fired={"cut before": 3, "answer lost": 1_200, "rows locked": 0},
    reasons=("no process",),
)


@pytest.fixture
def report() -> Report:
    """A report whose first check broke things."""
    first, *rest = VIOLATED_REPORT.checks
    return replace(VIOLATED_REPORT, checks=(replace(first, engine="faults", faults=TABLE), *rest))


def test_every_mark_is_counted() -> None:
    """What did not fire, was not judged or had no turn is said, with its number."""
    assert figures(TABLE) == (
        "3 faults fired, 1 broke a law, 1 did not fire, 1 not judged, 1 unexplored, "
        "3 of 1,500 pairs of faults as well, made good by itself within 0.4 s"
    )


def test_the_table_has_steps_down_and_faults_across() -> None:
    """A sign in each cell, a blank where there is no such fault, and no column without any sign."""
    columns, rows = grid(TABLE)
    assert columns == ["cut before", "answer lost", "killed"]
    assert [signs for _, signs in rows] == [["·", " ", "-"], [" ", "X", "?"], ["~", " ", "·"]]
    lines = lines_grid(TABLE)
    assert lines[2] == "buyer-1, reserve, 2: the commit of UPDATE tickets     X  ?"
    assert lines[-2] == "1 cut before; 2 answer lost; 3 killed"


def test_findings_say_how_to_see_them_again(report: Report) -> None:
    """One sentence, in how many runs, and the id."""
    assert lines_found(TABLE) == ["the answer was lost: 1 vanished. (1 run; oversell replay ab12)"]
    assert lines_broken(report)[1:] == ["not judged: killed: not here"]


def test_reports_show_it(report: Report) -> None:
    """Markdown and HTML have the finding, the numbers and the table."""
    for text in (render_markdown(report), render_page(report, {})):
        assert "the answer was lost: 1 vanished" in text
        assert "1,497" not in text
        assert "3 of 1,500 pairs" in text
        assert "the commit of UPDATE tickets" in text


def test_the_document_holds_it(report: Report, tmp_path: Path) -> None:
    """It follows the published schema, and is read again as it was."""
    document = json.loads(json.dumps(report_to_dict(report)))
    schema = json.loads((content("reports") / "verdict.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(document)
    (tmp_path / "verdict.json").write_text(json.dumps(document))
    assert read_report(tmp_path).checks[0].faults == TABLE
    document["checks"][0]["faults"]["rows"][0]["marks"]["cut before"] = "perhaps"
    assert not Draft202012Validator(schema).is_valid(document)


def test_what_broke_at_random_is_told(tmp_path: Path) -> None:
    """How often each was fired, what never was, and why something is missing; in every report."""
    first, *rest = VIOLATED_REPORT.checks
    report = replace(VIOLATED_REPORT, checks=(replace(first, chaos=CHAOS), *rest))
    told = (
        "1,203 faults at 120,000 statements and commits (1% of them were asked for); "
        "answer lost 1,200 (of 90.0%), cut before 3 (of 7.5%); none of rows locked; no process"
    )
    assert lines_chaos(report) == [f"{first.scenario} / {first.engine}: {told}"]
    assert lines_chaos(VIOLATED_REPORT) == []
    for text in (render_markdown(report), render_page(report, {}), render_junit(report)):
        assert "answer lost 1,200" in text
    document = json.loads(json.dumps(report_to_dict(report)))
    schema = json.loads((content("reports") / "verdict.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(document)
    (tmp_path / "verdict.json").write_text(json.dumps(document))
    assert read_report(tmp_path).checks[0].chaos == CHAOS


def test_a_failure_with_faults_is_read_again(tmp_path: Path) -> None:
    """Whole; and one that breaks a request nobody makes is refused."""
    client = FAILURE.scenario.phases[FAILURE.phase].programs[0].client
    injection = Injection(
        phase=FAILURE.phase,
        client=client,
        operation=0,
        step=2,
        statement="UPDATE tickets",
        shape="UPDATE tickets",
        commits=True,
        fault="answer lost",
    )
    kept = replace(FAILURE, faults=(injection,))
    write_failure(tmp_path / "good.json", kept)
    assert read_failure(tmp_path / "good.json").faults == (injection,)
    write_failure(tmp_path / "bad.json", replace(kept, faults=(replace(injection, client="nobody"),)))
    with pytest.raises(InconclusiveError, match="nobody"):
        read_failure(tmp_path / "bad.json")
