from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.cli import main
from tests.reporting.samples import KEPT, OVERSOLD, SAFE_REPORT, VIOLATED_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(finished: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run, and the current folder moved beside it."""
    folder = finished(VIOLATED_REPORT)
    monkeypatch.chdir(folder.parent)
    return folder


@pytest.mark.parametrize(("form", "name"), [("markdown", "report.md"), ("junit", "junit.xml")])
def test_a_report_is_rendered_again(
    folder: Path, capfd: pytest.CaptureFixture[str], form: str, name: str
) -> None:
    """Rendering a finished run again gives what the run wrote."""
    assert main(["report", "run", "--runs", ".", "--format", form]) == 0
    assert capfd.readouterr().out == (folder / name).read_text()


def test_json_is_the_document(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The JSON format prints the verdict document on standard output."""
    assert main(["report", str(folder), "--format", "json"]) == 0
    assert json.loads(capfd.readouterr().out) == json.loads((folder / "verdict.json").read_bytes())


def test_the_console_format_is_the_default(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without options the report is printed for people, and reporting on a violation is a success."""
    assert main(["report", "run", "--runs", "."]) == 0
    assert OVERSOLD.message in capfd.readouterr().out


def test_the_page_is_pointed_at(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The html format prints where the page is."""
    assert main(["report", "run", "--runs", ".", "--format", "html"]) == 0
    assert capfd.readouterr().out == f"{folder / 'report.html'}\n"


def test_a_missing_page_is_made_again(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A page that is gone is made again from the verdict and the evidence on disk."""
    page = folder / "report.html"
    before = page.read_text()
    page.unlink()
    assert main(["report", "run", "--runs", ".", "--format", "html"]) == 0
    assert page.read_text() == before


def test_a_page_without_its_evidence_is_still_made(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Evidence that cannot be read is said on standard error, and the page is made without it."""
    (folder / "report.html").unlink()
    (folder / KEPT).write_text("{")
    assert main(["report", "run", "--runs", ".", "--format", "html"]) == 0
    assert "could not be read" in capfd.readouterr().err
    assert "is not at hand" in (folder / "report.html").read_text()


def test_a_broken_verdict_is_inconclusive(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A broken verdict.json exits 3 in one line that names it."""
    (folder / "verdict.json").write_text("{")
    assert main(["report", "run", "--runs", "."]) == 3
    said = capfd.readouterr().err
    assert "An artifact could not be read" in said
    assert "verdict.json" in said
    assert said.count("\n") == 1


def test_an_unknown_run_is_a_usage_error(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An unknown run exits 2 and lists the runs there are."""
    assert main(["report", "nope", "--runs", "."]) == 2
    assert "Runs: run." in capfd.readouterr().err


def test_a_safe_run_reports_too(finished: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    """A safe run is rendered like any other."""
    assert main(["report", str(finished(SAFE_REPORT)), "--format", "markdown"]) == 0
    assert "✅ oversell: safe" in capfd.readouterr().out
