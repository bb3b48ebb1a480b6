"""``report.html``: one self-contained page for a reviewer, the history of each kept run as a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.events import Event, EvidenceKept, FailureKept, RunFinished
from harness.reporting.files import write_text
from harness.reporting.page import PAGE_FILE, render_page
from harness.reporting.reporter import Reporter

if TYPE_CHECKING:
    from harness.model import Evidence, Failure
    from harness.reporting.reporter import Setting


class HtmlReporter:
    """Remembers evidence and failures as they are kept, and writes the page at the end."""

    def __init__(self, setting: Setting) -> None:
        self._path = setting.folder / PAGE_FILE
        self._evidence: dict[str, Evidence] = {}
        self._failures: dict[str, Failure] = {}

    def __call__(self, event: Event) -> None:
        """Take in what is kept; write the page at the last event."""
        if isinstance(event, EvidenceKept):
            self._evidence[event.path] = event.evidence
        elif isinstance(event, FailureKept):
            self._failures[event.failure.id] = event.failure
        elif isinstance(event, RunFinished):
            write_text(self._path, render_page(event.report, self._evidence, self._failures))

    def close(self) -> None:
        """Nothing is held open."""


REPORTER = Reporter("html", HtmlReporter)
