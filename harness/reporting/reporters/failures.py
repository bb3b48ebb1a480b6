"""``failures/…json``: each schedule that breaks a law, small and confirmed, for ``oversell replay``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.events import Event, FailureKept
from harness.reporting.failure_file import write_failure
from harness.reporting.files import inside
from harness.reporting.reporter import Reporter

if TYPE_CHECKING:
    from harness.reporting.reporter import Setting


class FailuresReporter:
    """Writes a failure the moment it is kept, so that it can be replayed whatever becomes of the run."""

    def __init__(self, setting: Setting) -> None:
        self._folder = setting.folder

    def __call__(self, event: Event) -> None:
        """Write a failure to where the event says it belongs."""
        if isinstance(event, FailureKept):
            write_failure(inside(self._folder, event.path), event.failure)

    def close(self) -> None:
        """Nothing is held open."""


REPORTER = Reporter("failures", FailuresReporter)
