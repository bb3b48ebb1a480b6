"""The HTML report: one file that shows everything without running anything.

The template and its style sheet lie in ``reports/``. Nothing is fetched, and the page forbids itself to
run or load anything, so that hostile text in a message stays text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.content import content
from harness.errors import InconclusiveError
from harness.reporting import faults, words
from harness.reporting.evidence_file import read_evidence
from harness.reporting.files import inside, unreadable
from harness.reporting.lanes import lay_out_lanes
from harness.reporting.text import one_line
from harness.reporting.timeline import Timeline, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from harness.model import Check, Evidence, Failure, Report

PAGE_FILE = "report.html"


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept run of a check, as the page shows it."""

    path: str
    run: int
    timeline: Timeline | None
    """``None`` when the evidence is not at hand."""


def render_page(
    report: Report, evidence: Mapping[str, Evidence], failures: Mapping[str, Failure] | None = None
) -> str:
    """Return the report as one HTML document.

    :param evidence: the kept evidence by its path, as in :attr:`~harness.model.Violation.evidence`.
    :param failures: the kept failures by id, as in :attr:`~harness.model.Violation.replay`.
    """
    environment = _environment()
    return environment.get_template("report.html.j2").render(
        report=report,
        words=words,
        faults=faults,
        css=Markup((content("reports") / "report.css").read_text("utf-8")),  # noqa: S704  # our own file
        kept={at: tuple(_kept(check, evidence)) for at, check in enumerate(report.checks)},
        lanes={name: lay_out_lanes(failure) for name, failure in (failures or {}).items()},
        not_judged=words.not_judged(report.checks),
    )


def gather_evidence(report: Report, folder: Path) -> tuple[dict[str, Evidence], list[str]]:
    """Return the evidence a run's folder holds, by its path, and one line for each that cannot be read."""
    found: dict[str, Evidence] = {}
    troubles: list[str] = []
    for path in _paths(report):
        try:
            found[path] = _read_inside(folder, path)
        except InconclusiveError as error:
            troubles.append(str(error))
    return found, troubles


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(content("reports")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters["thousands"] = "{:,}".format
    environment.filters["ms"] = "{:,.2f}".format
    return environment


def _finalize(value: Any) -> Any:
    # What is markup already is ours; every other text may come from the code under test.
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _kept(check: Check, evidence: Mapping[str, Evidence]) -> Iterable[Kept]:
    runs = {violation.evidence: violation.run for violation in check.violations if violation.evidence}
    for path, run in runs.items():
        yield Kept(path, run, lay_out(evidence[path]) if path in evidence else None)


def _paths(report: Report) -> Iterable[str]:
    paths = (violation.evidence for check in report.checks for violation in check.violations)
    return dict.fromkeys(path for path in paths if path)


def _read_inside(folder: Path, path: str) -> Evidence:
    try:
        return read_evidence(inside(folder, path))
    except ValueError as error:
        raise unreadable(folder / path, error) from error
