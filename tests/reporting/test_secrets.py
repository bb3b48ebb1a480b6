from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.model import Answer, Outcome, Verdict
from harness.reporting.text import cut, one_line, without_passwords
from tests.reporting.samples import OVERSOLD, OVERSOLD_EVIDENCE, VIOLATED, report_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "hunter2-S3cret!"
LEAK = f"could not connect to postgresql://app:{SECRET}@db.example:5432/shop\nwith password={SECRET} or so"


def test_no_artifact_holds_a_password(finished: Callable[..., Path], said: Callable[[], str]) -> None:
    """A URL that slipped into messages, reasons or answers comes out without its password everywhere."""
    history = tuple(
        replace(call, answer=Answer(Outcome.UNKNOWN, detail=LEAK)) for call in OVERSOLD_EVIDENCE.history
    )
    check = replace(VIOLATED, reasons=(LEAK,), violations=(replace(OVERSOLD, message=LEAK),))
    report = report_of(check, verdict=Verdict.VIOLATED, database=LEAK, reasons=(LEAK,))
    folder = finished(report, replace(OVERSOLD_EVIDENCE, history=history))
    texts = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert len(texts) == 6
    assert all("db.example" in text for text in [*texts.values(), said()])
    assert [name for name, text in texts.items() if SECRET in text] == []
    assert SECRET not in said()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h", "postgresql://:***@h"),
        ("http://host:8080/path", "http://host:8080/path"),
        ("http://host:8080/path?to=a@b", "http://host:8080/path?to=a@b"),
        ("host=h password=p user=u", "host=h password=*** user=u"),
        ("postgresql://h/d?password=p&x=1", "postgresql://h/d?password=***&x=1"),
        ("nothing: here@all", "nothing: here@all"),
    ],
)
def test_passwords_are_told_from_ports(text: str, shown: str) -> None:
    """Only passwords are replaced."""
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb\r\n", "a b"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\u2028b\x85c", "a b c"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("\ud800\uffff\ufdd0\U0001ffff", "\ufffd" * 4),
        ("naïve 票 🎫", "naïve 票 🎫"),
    ],
)
def test_text_is_put_on_one_line(text: str, shown: str) -> None:
    """White space is folded, what cannot be shown is replaced, everything else is left alone."""
    assert one_line(text) == shown


def test_long_text_is_cut() -> None:
    """Cut text ends in an ellipsis and is no longer than was asked for."""
    assert cut("short", 5) == "short"
    assert cut("longer", 5) == "long…"
