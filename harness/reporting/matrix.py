"""The kill matrix for people, for pull requests and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from harness.model.matrix import Result, Ruling
from harness.reporting import words
from harness.reporting.markdown import escape
from harness.reporting.plain import to_plain
from harness.reporting.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from harness.model.matrix import Cell, Matrix, Row

JSON_FILE = "selftest.json"
MARKDOWN_FILE = "selftest.md"
SCRIPT = "script"
_MOST_NAMES = 4

_STYLES = {Result.PASSED: "green", Result.FAILED: "bold red", Result.INCONCLUSIVE: "yellow"}
_CELL_STYLES = {
    Ruling.KILLED: "green",
    Ruling.WRONG_LAW: "bold red",
    Ruling.ACCUSED: "bold red",
    Ruling.INCONCLUSIVE: "yellow",
    Ruling.LEFT_OUT: "yellow",
    Ruling.NOT_RUN: "dim",
}
_MEANINGS = {
    Result.PASSED: "every mistake was caught under a law it is meant to break, and nobody right was accused",
    Result.FAILED: "the harness, or what a specimen claims, is wrong",
    Result.INCONCLUSIVE: "nothing failed, and not all was judged",
}


def matrix_to_dict(matrix: Matrix) -> dict[str, Any]:
    """Return the self-test document as JSON-ready data; ``docs/selftest.md`` describes it."""
    document: dict[str, Any] = {
        "result": matrix.result,
        "findings": matrix.findings,
        "killed": matrix.killed,
        "wrong": len(matrix.wrong),
        "only_one": matrix.only_one,
        "totals": matrix.totals,
    }
    return {**{name: to_plain(value) for name, value in document.items()}, **to_plain(matrix)}


def cell_words(cell: Cell) -> str:
    """Return what one engine made of one specimen, in a few words; ``-`` for a mistake not seen."""
    match cell.ruling:
        case Ruling.SURVIVED:
            return "-"
        case Ruling.CLEARED:
            return (
                f"safe, {words.counted(cell.runs, 'run')}" if cell.law is None and cell.runs > 1 else "safe"
            )
        case Ruling.KILLED if cell.law is None:
            return cell.reason
        case Ruling.KILLED:
            return f"{cell.law}, run {cell.run:,}, {words.duration(cell.seconds)}"
        case Ruling.WRONG_LAW:
            return f"caught under {', '.join(cell.laws)}, run {cell.run:,}"
        case Ruling.ACCUSED:
            what = ", ".join(cell.laws) or cell.reason
            return f"accused: {what} in {cell.scenario}"
        case _:
            return cell.ruling.value


def print_matrix(matrix: Matrix, console: Console, *, folder: str) -> None:
    """Print the matrix, what it says, and how the harness did.

    :param folder: where its files lie.
    """
    console.print(_table(matrix))
    console.print()
    for heading, lines in _sections(matrix):
        _say(console, Text(heading, "bold"))
        for line in lines:
            _say(console, Text(f"  {one_line(line)}"))
        console.print()
    _say(console, Text(_verdict(matrix), _STYLES[matrix.result]))
    _say(console, Text(f"{_facts(matrix)}, files in {one_line(folder)}"))


def render_matrix(matrix: Matrix) -> str:
    """Return the same as GitHub-flavoured Markdown."""
    heads = [*matrix.engines, SCRIPT]
    table = [f"| specimen | {' | '.join(map(escape, heads))} |", f"|---|{'---|' * len(heads)}"]
    for title, rows in _groups(matrix):
        table.append(f"| **{title}** |{' |' * len(heads)}")
        table += [
            f"| {' | '.join([escape(row.specimen), *(escape(_said(row, name)) for name in heads)])} |"
            for row in rows
        ]
    table.append(f"| **killed, accused** | {' | '.join(_sum(matrix, name) for name in heads)} |")
    sections = [
        f"### {heading.capitalize()}\n\n" + "\n".join(f"- {escape(line)}" for line in lines)
        for heading, lines in _sections(matrix)
    ]
    facts = escape(f"{_facts(matrix)}, {matrix.database}, {matrix.started}")
    parts = [f"## oversell selftest: {matrix.result}", f"{_verdict(matrix)}.", "\n".join(table)]
    return "\n\n".join([*parts, *sections, f"{facts}."]) + "\n"


def progress_line(row: Row, column: str, done: int, of: int) -> str:
    """Return what to say when a cell has been filled."""
    cell = _cell(row, column)
    said = cell.ruling.value if cell.ruling is Ruling.SURVIVED else cell_words(cell)
    open_ = cell.ruling in (Ruling.INCONCLUSIVE, Ruling.NOT_RUN, Ruling.LEFT_OUT)
    return one_line(f"[{done}/{of}] {row.specimen} / {column}: {said}{f': {cell.reason}' if open_ else ''}")


def _table(matrix: Matrix) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("specimen", no_wrap=True)
    heads = [*matrix.engines, SCRIPT]
    for name in heads:
        table.add_column(one_line(name), overflow="fold")
    for title, rows in _groups(matrix):
        table.add_row(Text(title, "bold"))
        for row in rows:
            cells = (
                Text(one_line(_said(row, name)), _CELL_STYLES.get(_cell(row, name).ruling, ""))
                for name in heads
            )
            table.add_row(Text(f"  {one_line(row.specimen)}"), *cells)
    table.add_row(Text("killed, accused", "bold"), *(_sum(matrix, name) for name in heads))
    return table


def _groups(matrix: Matrix) -> Iterator[tuple[str, Sequence[Row]]]:
    for title, rows in (("wrong", matrix.wrong), ("right", matrix.right)):
        if rows:
            yield title, rows


def _cell(row: Row, column: str) -> Cell:
    return row.script if column == SCRIPT else row.cells[column]


def _said(row: Row, column: str) -> str:
    return cell_words(_cell(row, column))


def _sum(matrix: Matrix, column: str) -> str:
    total = matrix.totals[column]
    return f"{total.killed} of {total.wrong}, {total.accused} of {total.right}"


def _sections(matrix: Matrix) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield everything to be said beside the table, under headings; empty ones are left out."""
    kinds: dict[str, list[str]] = {}
    for finding in matrix.findings:
        kinds.setdefault(finding.kind.value, []).append(f"{finding.specimen}: {finding.message}")
    alone = [f"{specimen}: {engine}" for specimen, engine in matrix.only_one.items()]
    sections = {
        **kinds,
        "caught by one engine only": alone,
        "not judged": list(_listed(matrix, lambda cell: cell.unjudged or _why(cell, Ruling.INCONCLUSIVE))),
        "not run": list(_not_run(matrix)),
        "left out": list(_listed(matrix, lambda cell: _why(cell, Ruling.LEFT_OUT))),
        "trouble": matrix.troubles,
    }
    yield from ((heading, lines) for heading, lines in sections.items() if lines)


def _why(cell: Cell, ruling: Ruling) -> tuple[str, ...]:
    return (cell.reason,) if cell.ruling is ruling else ()


def _listed(matrix: Matrix, lines: Callable[[Cell], tuple[str, ...]]) -> Iterator[str]:
    """Yield each line about a cell once, with the specimens and the column it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in matrix.rows:
        for column in (*matrix.engines, SCRIPT):
            for line in lines(_cell(row, column)):
                found.setdefault((column, line), []).append(row.specimen)
    for (column, line), specimens in found.items():
        yield f"{column}, {_named(specimens)}: {line}"


def _not_run(matrix: Matrix) -> Iterator[str]:
    """Yield each reason for which something was not driven once, with columns, specimens and scenarios."""
    columns: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for column in (*matrix.engines, SCRIPT):
        for (scenarios, reason), specimens in _skipped(matrix, column).items():
            columns.setdefault((_named(specimens), scenarios, reason), []).append(column)
    for (who, scenarios, reason), names in columns.items():
        where = f" ({', '.join(scenarios)})" if scenarios else ""
        yield f"{', '.join(names)}, {who}: {reason}{where}"


def _skipped(matrix: Matrix, column: str) -> Mapping[tuple[tuple[str, ...], str], list[str]]:
    """Return what was not driven in a column: by scenarios and reason, the specimens."""
    found: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for row in matrix.rows:
        cell = _cell(row, column)
        reasons: dict[str, list[str]] = {}
        for line in cell.skipped:
            scenario, _, reason = line.partition(": ")
            reasons.setdefault(reason, []).append(scenario)
        if not cell.skipped and cell.ruling is Ruling.NOT_RUN:
            reasons[cell.reason] = []
        for reason, scenarios in reasons.items():
            found.setdefault((tuple(scenarios), reason), []).append(row.specimen)
    return found


def _named(specimens: Sequence[str]) -> str:
    many = len(specimens) > _MOST_NAMES
    return words.counted(len(specimens), "specimen") if many else ", ".join(specimens)


def _verdict(matrix: Matrix) -> str:
    return f"{matrix.result}: {_MEANINGS[matrix.result]} (exit code {matrix.result.exit_code})"


def _facts(matrix: Matrix) -> str:
    accused = sum(bool(row.engines(Ruling.ACCUSED)) for row in matrix.right)
    return (
        f"{matrix.killed} of {len(matrix.wrong)} wrong specimens killed, "
        f"{accused} of {len(matrix.right)} right ones accused, "
        f"{words.duration(matrix.seconds)}, {words.counted(matrix.jobs, 'job')}, seed {matrix.seed}"
    )


def _say(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True, highlight=False)
