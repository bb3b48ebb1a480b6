from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from playwright.sync_api import sync_playwright

from harness.model import Answer, Evidence, Outcome, Verdict
from harness.reporting import render_page
from tests.reporting.samples import (
    EXPLORED_REPORT,
    KEPT,
    OVERSOLD,
    OVERSOLD_EVIDENCE,
    SAFE_REPORT,
    UNDECIDED_REPORT,
    UNJUDGED,
    VIOLATED,
    VIOLATED_REPORT,
    evidences,
    report_of,
    reports,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model import Report

CHROMIUM = shutil.which("chromium")


class _Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_says_everything() -> None:
    """Verdict, question, checks, laws, numbers, hit rate, buyers and history are on the page."""
    text = re.sub(r"\s+", " ", _Tags(render_page(VIOLATED_REPORT, {KEPT: OVERSOLD_EVIDENCE})).text)
    for part in (
        "A law was broken, and the evidence is on disk. Exit code 1.",
        "specimen:check_then_decrement",
        "no_oversell in 18 of 20 runs",
        OVERSOLD.message,
        "buyer-3, buyer-7",
        "20 runs, 400 operations: 236 accepted, 164 sold_out.",
        "the target keeps no counter of what it sold",
        "proof_fails / burst: the target does not support: proof",
        "reserve 1 × general for buyer-20",
        "no answer",
        "0 remain",
    ):
        assert part in text


def test_every_client_has_its_lane() -> None:
    """The timeline has a lane per client, and a call without an answer is open-ended."""
    page = render_page(VIOLATED_REPORT, {KEPT: OVERSOLD_EVIDENCE})
    assert page.count('class="lane"') == 20
    assert page.count('class="unknown open"') == 1


def test_missing_evidence_is_said() -> None:
    """A page without the evidence at hand names the file."""
    assert f"The evidence <code>{KEPT}</code> is not at hand" in render_page(VIOLATED_REPORT, {})


def test_a_page_fetches_and_runs_nothing() -> None:
    """The page is one file: no script, no link to load, and it forbids both to itself."""
    page = render_page(VIOLATED_REPORT, {KEPT: OVERSOLD_EVIDENCE})
    found = _Tags(page)
    assert not {"script", "iframe", "object", "img", "embed", "form"} & set(found.tags)
    assert not re.search(r"(?:src|href)=\"(?!#|data:,)|@import|url\(", page)
    assert "default-src 'none'" in page


def test_hostile_text_stays_text() -> None:
    """Markup in any field adds no tag and no attribute to the page."""
    hostile = "</style></title><script>alert(1)</script>\"' onload=x {{ 7*7 }}\x1b\u202e"
    answer = Answer(Outcome.INVALID, detail=hostile)
    history = tuple(replace(call, client=hostile, answer=answer) for call in OVERSOLD_EVIDENCE.history)
    evil = replace(OVERSOLD, law=hostile, message=hostile, ticket=hostile, buyers=(hostile,), replay=hostile)
    check = replace(
        VIOLATED,
        scenario=hostile,
        engine=hostile,
        reasons=(hostile,),
        laws={hostile: UNJUDGED},
        outcomes={hostile: 3},
        violations=(evil,),
    )
    report = report_of(check, verdict=Verdict.VIOLATED, target=hostile, database=hostile, reasons=(hostile,))
    page = render_page(report, {KEPT: replace(OVERSOLD_EVIDENCE, history=history)})
    harmless = _Tags(render_page(VIOLATED_REPORT, {KEPT: OVERSOLD_EVIDENCE}))
    found = _Tags(page)
    assert set(found.tags) == set(harmless.tags)
    assert found.attributes == harmless.attributes
    assert "{{ 7*7 }}" in found.text
    assert "\x1b" not in page
    assert "\u202e" not in page


@settings(max_examples=30)
@given(reports, evidences)
def test_any_report_makes_a_page(report: Report, evidence: Evidence) -> None:
    """No report and no evidence is too odd for the page, which can be encoded too."""
    paths = {violation.evidence or "" for check in report.checks for violation in check.violations}
    page = render_page(report, dict.fromkeys(paths, evidence))
    assert f'<h1 id="verdict">{report.verdict}</h1>' in page
    page.encode()


def test_a_long_history_is_cut_and_counted() -> None:
    """Beyond what a person reads, calls and clients are counted."""
    calls = [
        replace(OVERSOLD_EVIDENCE.history[0], index=at, client=f"c{at}", invoked=at, completed=at + 5)
        for at in range(500)
    ]
    page = render_page(VIOLATED_REPORT, {KEPT: replace(OVERSOLD_EVIDENCE, history=tuple(calls))})
    assert "and 460 clients more" in page
    assert "and 300 calls more" in page


@pytest.mark.chromium
@pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no chromium on this machine (apt install chromium)"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "report",
    [VIOLATED_REPORT, EXPLORED_REPORT, SAFE_REPORT, UNDECIDED_REPORT],
    ids=["violated", "explored", "safe", "inconclusive"],
)
def test_a_browser_shows_it(report: Report, scheme: str, finished: Callable[..., Path]) -> None:
    """A browser shows the verdict without a complaint, and a narrow screen needs no sideways scrolling."""
    assert CHROMIUM is not None, "chromium is missing; CI installs it"
    complaints: list[str] = []
    page_file = finished(report) / "report.html"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]  # one of the two words it takes
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.locator("#verdict").is_visible()
        assert page.locator("#verdict").inner_text().lower() == report.verdict
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)") == (
            scheme == "dark"
        )
        browser.close()
    assert not complaints
