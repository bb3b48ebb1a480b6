"""Evidence on disk: written when a law is first broken, read again by reports and replays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.model import Evidence
from harness.reporting.files import dump_json, read_json, unreadable, write_text
from harness.reporting.plain import from_plain, to_plain

if TYPE_CHECKING:
    from pathlib import Path


def write_evidence(path: Path, evidence: Evidence, *, engine: str, run: int) -> None:
    """Write the evidence of one run, its folder made as needed.

    Times are nanoseconds since the first operation was invoked: a monotonic clock's own zero says nothing.

    :raises OSError: when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, dump_json({"engine": engine, "run": run, **to_plain(from_zero(evidence))}))


def read_evidence(path: Path) -> Evidence:
    """Return the evidence a file holds, its times relative to the first operation.

    :raises InconclusiveError: when the file is missing, truncated or does not hold evidence.
    """
    try:
        evidence: Evidence = from_plain(Evidence, read_json(path), "evidence")
    except (ValueError, TypeError) as error:
        raise unreadable(path, error) from error
    return evidence


def from_zero(evidence: Evidence) -> Evidence:
    """Return the same evidence with times relative to the first operation."""
    start = min((call.invoked for call in evidence.history), default=0)
    history = tuple(
        replace(
            call,
            invoked=call.invoked - start,
            completed=None if call.completed is None else call.completed - start,
        )
        for call in evidence.history
    )
    return replace(evidence, history=history)
