"""The verdict document: what ``verdict.json`` holds and ``--json`` prints.

Its published description is ``reports/verdict.schema.json``. Fields are added, never renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.model import Judgement, Report
from harness.reporting.files import read_json, unreadable
from harness.reporting.plain import from_plain, to_plain

if TYPE_CHECKING:
    from pathlib import Path

VERDICT_FILE = "verdict.json"


def report_to_dict(report: Report) -> dict[str, Any]:
    """Return the verdict document as JSON-ready data."""
    document: dict[str, Any] = to_plain(report)
    document["checks"] = [_flatten(check) for check in document["checks"]]
    return document


def report_from_dict(document: Any) -> Report:
    """Return the report that :func:`report_to_dict` wrote.

    :raises ValueError: when it is no verdict document; the message says which part is not.
    """
    if not isinstance(document, dict) or not isinstance(document.get("checks"), list):
        raise ValueError("not a verdict document")  # noqa: TRY004  # about a file, not a type of ours
    checks = [_unflatten(check, at) for at, check in enumerate(document["checks"])]
    report: Report = from_plain(Report, {"reasons": [], **document, "checks": checks}, "verdict")
    return report


def read_report(folder: Path) -> Report:
    """Return the report of a finished run.

    :raises InconclusiveError: when its ``verdict.json`` is missing or broken.
    """
    path = folder / VERDICT_FILE
    try:
        return report_from_dict(read_json(path))
    except ValueError as error:
        raise unreadable(path, error) from error


def _flatten(check: dict[str, Any]) -> dict[str, Any]:
    # The document promises one word per law; the reasons stand beside them.
    flat: dict[str, Any] = {}
    for name, value in check.items():
        flat[name] = value
        if name == "laws":
            flat["laws"] = {law: result["judgement"] for law, result in value.items()}
            flat["not_judged"] = {
                law: result["reason"]
                for law, result in value.items()
                if result["judgement"] == Judgement.NOT_JUDGED
            }
    return flat


def _unflatten(check: Any, at: int) -> dict[str, Any]:
    if not isinstance(check, dict):
        raise ValueError(f"checks[{at}] is not an object")  # noqa: TRY004  # as above
    laws, reasons = check.get("laws", {}), check.get("not_judged", {})
    if not isinstance(laws, dict) or not isinstance(reasons, dict):
        raise ValueError(f"checks[{at}]: laws and not_judged must be objects")  # noqa: TRY004  # as above
    results = {law: {"judgement": word, "reason": reasons.get(law, "")} for law, word in laws.items()}
    return {**check, "laws": results}
