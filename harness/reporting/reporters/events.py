"""``events.jsonl``: each event on its own line, on disk at once, so that a killed run leaves what it saw."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.model.events import Event, EvidenceKept, RunFinished
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
    match event:
        case EvidenceKept():
            # The evidence has its own file.
            return {"scenario": event.scenario, "engine": event.engine, "run": event.run, "path": event.path}
        case RunFinished():
            # The checks are in the lines before, and all of it in verdict.json.
            return {"verdict": event.report.verdict.value, "reasons": list(event.report.reasons)}
        case _:
            values = {field.name: getattr(event, field.name) for field in fields(event)}
            return {name: str(v) if name == "folder" else to_plain(v) for name, v in values.items()}


REPORTER = Reporter("events", EventsReporter)
