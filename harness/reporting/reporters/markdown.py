"""``report.md``: for a comment on a pull request, or a GitHub step summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.events import Event, FailureKept, RunFinished
from harness.reporting.files import write_text
from harness.reporting.markdown import MARKDOWN_FILE, render_markdown
from harness.reporting.reporter import Reporter

if TYPE_CHECKING:
    from harness.model import Failure
    from harness.reporting.reporter import Setting


class MarkdownReporter:
    """Remembers failures as they are kept, and writes the file at the end."""

    def __init__(self, setting: Setting) -> None:
        self._path = setting.folder / MARKDOWN_FILE
        self._failures: dict[str, Failure] = {}

    def __call__(self, event: Event) -> None:
        """Take a failure in; write the file at the last event."""
        if isinstance(event, FailureKept):
            self._failures[event.failure.id] = event.failure
        elif isinstance(event, RunFinished):
            write_text(self._path, render_markdown(event.report, self._failures))

    def close(self) -> None:
        """Nothing is held open."""


REPORTER = Reporter("markdown", MarkdownReporter)
