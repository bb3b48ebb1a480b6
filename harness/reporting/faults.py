"""What was broken, for people: a line of numbers, a table of steps and faults, and the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Mark
from harness.reporting.text import cut
from harness.reporting.words import check_title, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model import Check, FaultRow, FaultTable, Report

SIGNS = {
    Mark.HELD: "·",
    Mark.VIOLATED: "X",
    Mark.NOT_FIRED: "~",
    Mark.NOT_JUDGED: "-",
    Mark.UNEXPLORED: "?",
}
LEGEND = "· held, X a law was broken, ~ did not fire, - not judged, ? not explored"
_MOST_FINDINGS = 12
_WIDEST = 60


def figures(table: FaultTable) -> str:
    """Return in words how much was broken, and what that came to."""
    fired = table.count(Mark.HELD) + table.count(Mark.VIOLATED)
    words = [f"{counted(fired, 'fault')} fired"]
    if broke := table.count(Mark.VIOLATED):
        words.append(f"{broke:,} broke a law")
    words += [
        f"{number:,} {mark.value}"
        for mark in (Mark.NOT_FIRED, Mark.NOT_JUDGED, Mark.UNEXPLORED)
        if (number := table.count(mark))
    ]
    of = f" of {table.pairs + table.pairs_unexplored:,}" if table.pairs_unexplored else ""
    words.append(f"{table.pairs:,}{of} pairs of faults as well")
    if table.made_good is not None:
        words.append(f"made good by itself within {table.made_good:g} s")
    return ", ".join(words)


def lines_broken(report: Report) -> list[str]:
    """Return what each check broke on purpose, and once why something could not be."""
    tables = [(check_title(check), check.faults) for check in report.checks if check.faults is not None]
    reasons = dict.fromkeys(reason for _, table in tables for reason in table.reasons)
    return [
        *(f"{title}: {figures(table)}" for title, table in tables),
        *(f"not judged: {each}" for each in reasons),
    ]


def chaos(check: Check) -> str:
    """Return in words what broke at random; empty for a check without chaos."""
    figures = check.chaos
    if figures is None:
        return ""
    often = sorted(figures.fired.items(), key=lambda each: -each[1])
    parts = ", ".join(
        f"{name} {number:,} (of {figures.shares[name]:.1%})" for name, number in often if number
    )
    none = ", ".join(name for name, number in often if not number)
    return "; ".join(
        (
            f"{counted(figures.total, 'fault')} at {figures.steps:,} statements and commits "
            f"({figures.rate * 100:.4g}% of them were asked for)",
            *([parts] if parts else []),
            *([f"none of {none}"] if none else []),
            *figures.reasons,
        )
    )


def lines_chaos(report: Report) -> list[str]:
    """Return what broke at random in each check."""
    return [f"{check_title(check)}: {chaos(check)}" for check in report.checks if check.chaos is not None]


def lines_found(table: FaultTable) -> list[str]:
    """Return the findings, a line each."""
    lines = [
        f"{finding.message} ({counted(finding.cells, 'run')}"
        f"{f'; oversell replay {finding.replay}' if finding.replay else ''})"
        for finding in table.findings[:_MOST_FINDINGS]
    ]
    left = len(table.findings) - _MOST_FINDINGS
    return [*lines, f"and {left} more, in verdict.json"] if left > 0 else lines


def grid(table: FaultTable) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the columns that have any mark, and for each step its words and its signs."""
    columns = [name for name in table.faults if any(name in row.marks for row in table.rows)]
    rows = [(cut(_title(row), _WIDEST), _signs(row, columns)) for row in table.rows if row.marks]
    return columns, rows


def lines_grid(table: FaultTable) -> list[str]:
    """Return the table as text: faults are numbered across, steps stand down."""
    columns, rows = grid(table)
    wide = max((len(title) for title, _ in rows), default=0)
    head = "".join(f"{number:>3}" for number in range(1, len(columns) + 1))
    legend = [f"{number} {name}" for number, name in enumerate(columns, start=1)]
    return [
        f"{'':{wide}}{head}",
        *(f"{title:{wide}}{''.join(f'{sign:>3}' for sign in signs)}" for title, signs in rows),
        "; ".join(legend),
        LEGEND,
    ]


def worth_a_table(checks: Iterable[Check]) -> list[tuple[Check, FaultTable]]:
    """Return the checks in which a fault broke a law, with their tables."""
    return [(check, check.faults) for check in checks if check.faults is not None and check.faults.findings]


def _title(row: FaultRow) -> str:
    return f"{row.client}, {row.operation}, {row.step}: {row.short or row.statement}"


def _signs(row: FaultRow, columns: Sequence[str]) -> list[str]:
    return [SIGNS[row.marks[name]] if name in row.marks else " " for name in columns]
