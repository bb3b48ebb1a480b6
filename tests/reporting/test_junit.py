from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from hypothesis import given

from harness.content import content
from harness.model import NotRun, Verdict
from harness.reporting import render_junit
from tests.reporting.samples import (
    OVERSOLD,
    SAFE,
    SAFE_REPORT,
    UNDECIDED_REPORT,
    VIOLATED,
    VIOLATED_REPORT,
    report_of,
    reports,
)

if TYPE_CHECKING:
    from harness.model import Report

SCHEMA = xmlschema.XMLSchema(content("reports") / "junit.xsd")


def _parse(report: Report) -> ET.Element:
    text = render_junit(report)
    SCHEMA.validate(text)
    return ET.fromstring(text)  # noqa: S314  # our own output


@pytest.mark.parametrize("report", [VIOLATED_REPORT, SAFE_REPORT, UNDECIDED_REPORT], ids=lambda r: r.verdict)
def test_reports_follow_the_schema(report: Report) -> None:
    """What we write is the dialect that reports/junit.xsd describes."""
    assert _parse(report).get("name") == "oversell"


@given(reports)
def test_any_report_is_valid_xml(report: Report) -> None:
    """No text a report may hold makes a document that does not parse or that the schema refuses."""
    root = _parse(report)
    assert len(list(root.iter("testcase"))) == int(root.get("tests", "-1"))


def test_each_verdict_has_its_element() -> None:
    """Violated is a failure with the sentences, inconclusive an error, not run is skipped."""
    failure = _parse(VIOLATED_REPORT).find(".//testcase[@name='rush']/failure")
    assert failure is not None
    assert OVERSOLD.message in (failure.text or "")
    assert "18 of 20 runs" in failure.get("message", "")
    error = _parse(UNDECIDED_REPORT).find(".//testcase[@name='same_person_twice']/error")
    assert error is not None
    assert error.get("message") == "no two operations overlapped"
    skipped = _parse(SAFE_REPORT).find(".//testcase[@name='proof_fails']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "the target does not support: proof"


def test_a_suite_per_engine() -> None:
    """Every engine is a suite with its own counts, seed and target."""
    report = report_of(VIOLATED, replace(SAFE, engine="explore"), verdict=Verdict.VIOLATED)
    suites = {suite.get("name"): suite for suite in _parse(report).iter("testsuite")}
    assert set(suites) == {"oversell.burst", "oversell.explore"}
    burst = suites["oversell.burst"]
    assert (burst.get("tests"), burst.get("failures"), burst.get("skipped")) == ("2", "1", "1")
    properties = {each.get("name"): each.get("value") for each in burst.iter("property")}
    assert properties["seed"] == "20260101"
    assert properties["target"] == "specimen:check_then_decrement"


@pytest.mark.parametrize(
    "report",
    [
        report_of(verdict=Verdict.INCONCLUSIVE, reasons=("Postgres went away",)),
        report_of(
            SAFE,
            verdict=Verdict.INCONCLUSIVE,
            reasons=("proof_fails/burst: not supported",),
            not_run=(NotRun(scenario="proof_fails", engine="burst", reason="not supported", asked_for=True),),
        ),
    ],
    ids=["nothing driven", "asked for and not driven"],
)
def test_an_inconclusive_run_never_reads_as_a_pass(report: Report) -> None:
    """A verdict that no case shows is a case of its own."""
    root = _parse(report)
    assert root.get("errors") == "1"
    assert root.find(".//testcase[@name='verdict']/error") is not None


def test_a_safe_run_has_nothing_red() -> None:
    """A safe report has neither failures nor errors."""
    root = _parse(SAFE_REPORT)
    assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_hostile_text_stays_text() -> None:
    """Markup, entities and control characters in names and messages neither break nor change the document."""
    hostile = "]]></failure><x/>&amp;\x00\x1b[31m\ud800\ufffe\"'"
    broken = replace(VIOLATED, scenario=hostile, violations=(replace(OVERSOLD, message=hostile),))
    root = _parse(report_of(broken, verdict=Verdict.VIOLATED, target=hostile))
    assert root.find(".//x") is None
    case = next(root.iter("testcase"))
    assert case.get("name", "").startswith("]]></failure><x/>&amp;\ufffd\ufffd[31m\ufffd\ufffd")
