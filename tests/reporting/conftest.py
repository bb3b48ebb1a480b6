"""What the tests of this room share."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from harness.reporting import ReportConsole, open_listeners
from tests.reporting.samples import OVERSOLD_EVIDENCE, run_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model import Evidence, Report


@pytest.fixture
def console() -> ReportConsole:
    """A console as in a CI log; what was said is in its ``file``."""
    return ReportConsole(file=io.StringIO(), width=100)


@pytest.fixture
def said(console: ReportConsole) -> Callable[[], str]:
    """Return what the console was told so far."""

    def read() -> str:
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    return read


@pytest.fixture
def finished(tmp_path: Path, console: ReportConsole) -> Callable[..., Path]:
    """Let a whole run go by all reporters and return its folder."""

    def run(report: Report, evidence: Evidence = OVERSOLD_EVIDENCE) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        with open_listeners(folder, console=console) as listen:
            for event in run_events(report, folder, evidence):
                listen(event)
        return folder

    return run
