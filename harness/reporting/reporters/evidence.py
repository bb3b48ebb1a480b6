"""``evidence/…json``: the history, the committed states and the final books of each run that broke a law."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.events import Event, EvidenceKept
from harness.reporting.evidence_file import write_evidence
from harness.reporting.files import inside
from harness.reporting.reporter import Reporter

if TYPE_CHECKING:
    from harness.reporting.reporter import Setting


class EvidenceReporter:
    """Writes evidence the moment it is kept, so that it is there whatever becomes of the run."""

    def __init__(self, setting: Setting) -> None:
        self._folder = setting.folder

    def __call__(self, event: Event) -> None:
        """Write evidence to where the event says it belongs."""
        if isinstance(event, EvidenceKept):
            path = inside(self._folder, event.path)
            write_evidence(path, event.evidence, engine=event.engine, run=event.run)

    def close(self) -> None:
        """Nothing is held open."""


REPORTER = Reporter("evidence", EvidenceReporter)
