from __future__ import annotations

from dataclasses import replace

import pytest

from harness.model import Verdict
from harness.reporting import render_markdown
from harness.reporting.markdown import escape
from tests.reporting.samples import (
    OVERSOLD,
    SAFE_REPORT,
    UNDECIDED_REPORT,
    VIOLATED,
    VIOLATED_REPORT,
    report_of,
)


def test_a_violated_report_says_what_broke() -> None:
    """The verdict, the table and the sentence with its hit rate are there."""
    text = render_markdown(VIOLATED_REPORT)
    assert text.startswith("## ❌ oversell: violated\n")
    assert "| rush | burst | ❌ violated | 20 | 18 | 400 | 20 | 1.7 |" in text
    assert '(18 of 20 runs): "general" started with 10, 12 were sold' in text
    assert "proof\\_fails / burst: the target does not support: proof" in text


def test_safe_and_inconclusive_say_so() -> None:
    """Each verdict says its meaning, and an inconclusive one why."""
    assert "exit code 0" in render_markdown(SAFE_REPORT)
    assert "- same\\_person\\_twice/burst: no two overlapped" in render_markdown(UNDECIDED_REPORT)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a|b", "a&#124;b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[x](javascript:1)", "\\[x\\](javascript:1)"),
        ("`code` *b* _i_ ~s~", "\\`code\\` \\*b\\* \\_i\\_ \\~s\\~"),
        ("@somebody #1", "@&#8203;somebody #&#8203;1"),
        ("https://x.example WWW.x.example", "https:&#8203;//x.example www&#8203;.x.example"),
        ("$x$ \\", "&#36;x&#36; \\\\"),
        ("two\nlines\x1b", "two lines\ufffd"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_text_is_made_harmless(hostile: str, harmless: str) -> None:
    """Whatever Markdown or GitHub would act on is escaped."""
    assert escape(hostile) == harmless


def test_hostile_names_do_not_break_the_table() -> None:
    """A row of the table keeps its eight cells whatever the scenario is called."""
    check = replace(VIOLATED, scenario="a|b\n| c | <script>", engine="`")
    text = render_markdown(report_of(check, verdict=Verdict.VIOLATED))
    row = next(line for line in text.splitlines() if "❌ violated |" in line)
    assert row.count("|") == 9
    assert "<script>" not in text


def test_a_report_fits_into_a_comment() -> None:
    """Thousands of violations are cut to what a comment holds, and the rest is counted."""
    many = replace(VIOLATED, violations=tuple(replace(OVERSOLD, message="x" * 5_000) for _ in range(2_000)))
    text = render_markdown(report_of(*[many] * 60, verdict=Verdict.VIOLATED))
    assert len(text) < 65_536
    assert "more, in `verdict.json`" in text
    assert "and 35 checks more" in text
