"""``events.jsonl``: each event on its own line, on disk at once, so that a killed run leaves what it saw."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.model.events import Event, EvidenceKept, FailureKept, RunFinished, RunStarted
from harness.reporting.plain import to_plain
from harness.reporting.reporter import Reporter

if TYPE_CHECKING:
    from harness.reporting.reporter import Setting

EVENTS_FILE = "events.jsonl"


class EventsReporter:
    """Appends a line per event and flushes it."""

    def __init__(self, setting: Setting) -> None:
        path = setting.folder / EVENTS_FILE
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")

    def __call__(self, event: Event) -> None:
        """Write the event's line."""
        line = {"event": _name(event), "time": datetime.now(UTC).isoformat(), **_fields(event)}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _name(event: Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _fields(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    match event:
        case RunStarted():
            values["folder"] = str(event.folder)
        case EvidenceKept():
            del values["evidence"]  # it has its own file
        case FailureKept():
            values["failure"] = event.failure.id  # so has this
        case RunFinished():
            # The checks are in the lines before, and all of it in verdict.json.
            values = {"verdict": event.report.verdict, "reasons": event.report.reasons}
    return {name: to_plain(value) for name, value in values.items()}


REPORTER = Reporter("events", EventsReporter)
