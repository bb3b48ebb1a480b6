"""Markdown for a comment on a pull request or a GitHub step summary.

Names and messages come from the code under test, so everything that Markdown, HTML or GitHub would act on
(tables, links, mentions, mathematics) is made plain text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from harness.model import Verdict
from harness.reporting import faults, words
from harness.reporting.lanes import lay_out_lanes
from harness.reporting.text import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.model import Check, Failure, NotRun, Report, Violation
    from harness.reporting.lanes import Lanes, Row

T = TypeVar("T")

MARKDOWN_FILE = "report.md"

# A comment on GitHub holds 65,536 characters, so a report has room for so many sentences of such a length.
_MOST_CHARACTERS = 60_000
_MOST_LINES = 25
_MOST_GRIDS = 2
_LONGEST_LINE = 400

_MARKS = {Verdict.SAFE: "✅", Verdict.VIOLATED: "❌", Verdict.INCONCLUSIVE: "⚠️"}
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "$": "&#36;", "|": "&#124;"}
# A zero-width space keeps GitHub from making mentions, references and links of text.
_BROKEN = {"@": "@&#8203;", "#": "#&#8203;", "://": ":&#8203;//", "www.": "www&#8203;."}
_SPECIAL = re.compile(r"://|www\.|[\\`*_\[\]~<>&$|@#]", re.IGNORECASE)


def render_markdown(report: Report, failures: Mapping[str, Failure] | None = None) -> str:
    """Return the report as GitHub-flavoured Markdown.

    :param failures: the kept failures by id, each shown as a table as long as there is room.
    """
    paragraphs = [
        f"## {_MARKS[report.verdict]} oversell: {report.verdict}",
        f"{words.MEANINGS[report.verdict].capitalize()} (exit code {report.verdict.exit_code}).",
        *_bullets("Why it is inconclusive", report.reasons, escape),
        _table(report),
        *_violations(report),
        *_broken(report),
        *_explored(report),
        *_bullets("Broken on purpose", faults.lines_broken(report), escape),
        *_bullets("Broken at random", faults.lines_chaos(report), escape),
        *_bullets("Loaded", words.lines_loaded(report), escape),
        *_bullets("Audited", words.lines_audited(report), escape),
        *_not_judged(report),
        *_bullets("Not run", report.not_run, _skipped),
        _facts(report),
    ]
    text = "\n\n".join(filter(None, paragraphs)) + "\n"
    return text + "".join(_lanes(report, failures or {}, _MOST_CHARACTERS - len(text)))


def escape(text: str) -> str:
    """Return text that shows as itself, on one line, whatever it holds."""
    return _SPECIAL.sub(_plain, cut(text, _LONGEST_LINE))


def _plain(match: re.Match[str]) -> str:
    special = match.group().lower()
    return _ENTITIES.get(special) or _BROKEN.get(special) or f"\\{special}"


def _table(report: Report) -> str:
    if not report.checks:
        return ""
    rows = [
        "| scenario | engine | verdict | runs | hits | operations | most overlapping | seconds |",
        "|---|---|---|--:|--:|--:|--:|--:|",
        *map(_row, report.checks[:_MOST_LINES]),
    ]
    left = len(report.checks) - _MOST_LINES
    return "\n".join(rows) + (f"\n\nand {words.counted(left, 'check')} more" if left > 0 else "")


def _row(check: Check) -> str:
    cells = [
        escape(check.scenario),
        escape(check.engine),
        f"{_MARKS[check.verdict]} {check.verdict}",
        *(f"{n:,}" for n in (check.runs, check.hits, check.operations, check.overlapping)),
        f"{check.seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _violations(report: Report) -> Iterable[str]:
    found = [(check, violation) for check in report.checks for violation in check.violations]
    return _bullets("What was broken", found, lambda pair: _sentence(*pair))


def _sentence(check: Check, violation: Violation) -> str:
    by = f" Commit: {escape('; '.join(about))}." if (about := words.commit(violation)) else ""
    again = f" Again: `oversell replay {_code(violation.replay)}`." if violation.replay else ""
    return (
        f"**{escape(violation.law)}** in {escape(words.check_title(check))}"
        f" ({words.hit_rate(violation, check)}): {escape(violation.message)}{by}{again}"
    )


def _broken(report: Report) -> Iterable[str]:
    for check, table in faults.worth_a_table(report.checks)[:_MOST_GRIDS]:
        title = f"What faults cost in {words.check_title(check)}"
        yield from _bullets(title, faults.lines_found(table), escape)
        columns, rows = faults.grid(table)
        yield "\n".join(
            [
                f"| step | {' | '.join(map(escape, columns))} |",
                f"|---|{':-:|' * len(columns)}",
                *(f"| {escape(title)} | {' | '.join(signs)} |" for title, signs in rows[:_MOST_LINES]),
            ]
        )
        yield escape(f"{faults.LEGEND}.")


def _explored(report: Report) -> Iterable[str]:
    found = [
        f"{words.check_title(check)}: {explored}"
        for check in report.checks
        if (explored := words.exploration(check))
    ]
    return _bullets("Explored", found, escape)


def _lanes(report: Report, failures: Mapping[str, Failure], room: int) -> Iterable[str]:
    """Yield each failure of the report once, as far as there is room."""
    ids = (violation.replay or "" for check in report.checks for violation in check.violations)
    left_out = 0
    for name in dict.fromkeys(ids):
        if name in failures:
            part = f"\n### The schedule `{_code(name)}`\n\n{_schedule(lay_out_lanes(failures[name]))}"
            room -= len(part)
            left_out += room < 0
            yield part if room >= 0 else ""
    if left_out:
        yield f"\nThere is no room for {words.counted(left_out, 'schedule')}; see `report.html`.\n"


def _schedule(lanes: Lanes) -> str:
    heads = [*map(escape, lanes.clients)] if lanes.abreast else ["client", "step"]
    rows = [
        f"|  | {' | '.join(heads)} |",
        f"|--:|{'---|' * len(heads)}",
        *(f"| {row.number} | {' | '.join(_cells(row, lanes))} |" for row in lanes.rows),
    ]
    told = [f"{client}: {lanes.told[client]}" for client in lanes.clients if client in lanes.told]
    drawn = [f"drawn by: {lanes.reproduction}"] if lanes.reproduction else []
    facts = [lanes.about, *drawn, *lanes.before, *told, f"in the end: {lanes.message}"]
    if lanes.more:
        facts.insert(0, f"and {words.counted(lanes.more, 'step')} more, in the failure's file")
    return "\n".join(rows) + "\n\n" + "\n".join(f"- {escape(fact)}" for fact in facts) + "\n"


def _cells(row: Row, lanes: Lanes) -> Iterable[str]:
    said = "<br>".join(map(escape, row.lines))
    if not lanes.abreast:
        return (escape(row.client), said)
    return (said if client == row.client else ":" * (client in row.waiting) for client in lanes.clients)


def _code(text: str) -> str:
    # Inside a code span nothing is acted on but the mark that ends it.
    return cut(text, 100).replace("`", "'")


def _skipped(skip: NotRun) -> str:
    return escape(f"{skip.scenario} / {skip.engine}: {skip.reason}")


def _not_judged(report: Report) -> Iterable[str]:
    return _bullets("Not judged", words.lines_not_judged(report), escape)


def _bullets(heading: str, items: Sequence[T], line: Callable[[T], str]) -> Iterable[str]:
    shown = [f"- {line(item)}" for item in items[:_MOST_LINES]]
    if len(items) > _MOST_LINES:
        shown.append(f"- and {len(items) - _MOST_LINES:,} more, in `verdict.json`")
    return [f"### {heading}", "\n".join(shown)] if items else []


def _facts(report: Report) -> str:
    return (
        f"Target {escape(report.target)}, database {escape(report.database)}, seed {report.seed},"
        f" {escape(report.started)}, {words.duration(report.seconds)}."
    )
