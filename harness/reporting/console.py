"""The report for people at a terminal or reading a CI log."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, assert_never

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.model import Verdict
from harness.model.events import (
    CheckFinished,
    CheckProgressed,
    CheckSkipped,
    CheckStarted,
    Event,
    EvidenceKept,
    FailureKept,
    LoadProgressed,
    Noticed,
    RunFinished,
    RunStarted,
)
from harness.reporting import faults, words
from harness.reporting.lanes import lay_out_lanes
from harness.reporting.lanes_console import lanes_lines
from harness.reporting.text import cut, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from harness.model import Check, Failure, Report, Violation

STYLES = {Verdict.SAFE: "green", Verdict.VIOLATED: "bold red", Verdict.INCONCLUSIVE: "yellow"}

_MOST_VIOLATIONS = 10
_LOG_WIDTH = 130
_REDRAW_SECONDS = 0.1
_SIGN_OF_LIFE_SECONDS = 10.0
_LOAD_SECONDS = 5.0
"""How often a log says how a load goes."""


class ReportConsole(Console):
    """A console that falls silent when its reader has gone away, and that is wide where it is a log.

    Rich's own answer to a broken pipe is to exit with code 1, which here would read as *violated*, and to
    send standard output to nowhere, where ``--json`` writes. A log has no width of its own; in the 80
    columns that Rich assumes, a table breaks words.

    :param options: those of :class:`rich.console.Console`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if not _is_screen(self) and "width" not in options and "COLUMNS" not in os.environ:
            self.width = _LOG_WIDTH

    def on_broken_pipe(self) -> None:
        """Fall silent."""
        self.quiet = True


class ConsoleReporter:
    """Says on a console how the run goes, and at the end how it went.

    On a terminal the check at work is one line that is redrawn. Elsewhere each check is one line of a log,
    and a long one says from time to time how far it is. Nothing is drawn from a thread: it would take time
    from the clients whose overlap is what the run is about.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._live: Progress | None = None
        self._load: Live | None = None
        self._task: TaskID | None = None
        self._total = 0
        self._finished = 0
        self._spoken = clock()
        self._failures: dict[str, Failure] = {}

    def __call__(self, event: Event) -> None:
        """Say what the event means for somebody who watches."""
        match event:
            case RunStarted():
                self._start(event)
            case CheckStarted():
                self._begin(event)
            case CheckProgressed():
                self._progress(event)
            case LoadProgressed():
                self._load_progress(event)
            case CheckFinished():
                self._finish(event.check)
            case CheckSkipped():
                skip = event.not_run
                self._line(f"not run: {skip.scenario} / {skip.engine}: {skip.reason}", "dim")
            case Noticed():
                self._line(event.message, "cyan")
            case EvidenceKept():
                pass  # the final report says where it lies
            case FailureKept():
                self._failures[event.failure.id] = event.failure
            case RunFinished():
                self.close()
                print_report(event.report, event.folder, self._console, self._failures)
            case _:
                assert_never(event)

    def close(self) -> None:
        """Give the terminal back."""
        self._end_load()
        if self._live is not None:
            self._live.stop()
            self._live = self._task = None

    def _start(self, event: RunStarted) -> None:
        self._total = len(event.checks)
        facts = {
            "target": event.target,
            "database": event.database,
            "checks": f"{self._total}, seed {event.seed}",
        }
        for label, fact in facts.items():
            self._print(Text.assemble((f"{label:<10}", "dim"), one_line(fact)))

    def _begin(self, event: CheckStarted) -> None:
        self._spoken = self._clock()
        if _is_screen(self._console):
            self._end_load()
            self._live = self._live or self._open_live()
            title = cut(f"[{self._finished + 1}/{self._total}] {event.scenario} / {event.engine}", 60)
            if self._task is not None:
                self._live.remove_task(self._task)
            self._task = self._live.add_task(title, total=None, hits="")
            self._live.refresh()

    def _open_live(self) -> Progress:
        live = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[hits]}", markup=False, style="red"),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def _progress(self, event: CheckProgressed) -> None:
        hits = words.counted(event.hits, "hit") if event.hits else ""
        since = self._clock() - self._spoken
        if self._live is not None and self._task is not None:
            # Drawing costs about a millisecond, and some engines judge thousands of runs in a second.
            due = since >= _REDRAW_SECONDS
            total = event.of or None  # an exploration does not know beforehand
            self._live.update(self._task, completed=event.done, total=total, hits=hits, refresh=due)
        elif due := since >= _SIGN_OF_LIFE_SECONDS:
            done = f"{event.done:,} of {event.of:,} runs" if event.of else words.counted(event.done, "run")
            self._line(f"{event.scenario} / {event.engine}: {done}{hits and f', {hits}'}", "dim")
        if due:
            self._spoken = self._clock()

    def _load_progress(self, event: LoadProgressed) -> None:
        """Say how a load goes: one line that is redrawn, or a line of the log from time to time."""
        screen = _is_screen(self._console)
        if self._clock() - self._spoken < (_REDRAW_SECONDS if screen else _LOAD_SECONDS):
            return
        self._spoken = self._clock()
        title, facts = f"{event.scenario} / swarm", words.load_facts(event)
        if not screen:
            self._line(f"{title}: {', '.join(facts)}", "dim")
            return
        if self._load is None:
            self.close()
            self._load = self._open_load()
        while len(facts) > 1 and len(f"{title}: {', '.join(facts)}") >= self._console.width:
            facts.pop()
        self._load.update(Text(one_line(f"{title}: {', '.join(facts)}"), no_wrap=True), refresh=True)

    def _open_load(self) -> Live:
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    def _end_load(self) -> None:
        if self._load is not None:
            self._load.stop()
            self._load = None

    def _finish(self, check: Check) -> None:
        self._end_load()
        self._finished += 1
        runs = words.counted(check.runs, "run")
        if check.hits:
            runs = f"broken in {check.hits:,} of {runs}"
        place = f"[{self._finished}/{self._total}]" if self._total else ""
        line = Text(f"{one_line(f'{place} {words.check_title(check)}')}: ")
        line.append(check.verdict, STYLES[check.verdict])
        explored = words.exploration(check)
        line.append(f", {runs}, {words.duration(check.seconds)}{explored and f'; {explored}'}")
        self._print(line)

    def _line(self, text: str, style: str = "") -> None:
        self._print(Text(one_line(text), style))

    def _print(self, line: Text) -> None:
        _say(self._console, line)


def print_report(
    report: Report, folder: Path, console: Console, failures: Mapping[str, Failure] | None = None
) -> None:
    """Print a finished run's report.

    :param folder: where its evidence lies.
    :param failures: the kept failures by id, each shown as swim lanes with its first violation.
    """
    console.print()
    if report.checks:
        console.print(_table(report.checks))
        console.print()
    for line in _sections(report, folder, _Lanes(failures or {}, console.width - 4)):
        if isinstance(line, Text):
            _say(console, line)
        else:
            console.print(line)


def _is_screen(console: Console) -> bool:
    # Colour may be forced upon a log, which is no reason to redraw lines in it.
    return console.is_interactive and console.file.isatty()


def _say(console: Console, line: Text) -> None:
    # One line of a log stays one line, however wide: nothing may be cut from a sentence.
    console.print(line, soft_wrap=True, highlight=False)


def _table(checks: Iterable[Check]) -> Table:
    # One blank between columns: with names of usual length it fits a terminal of 80 columns.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for heading in ("scenario", "engine"):
        table.add_column(heading, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in ("runs", "hits", "operations", "most\noverlapping", "seconds"):
        table.add_column(heading, justify="right")
    for check in checks:
        numbers = (check.runs, check.hits, check.operations, check.overlapping)
        table.add_row(
            Text(one_line(check.scenario)),
            Text(one_line(check.engine)),
            Text(check.verdict, STYLES[check.verdict]),
            *(f"{number:,}" for number in numbers),
            f"{check.seconds:.1f}",
        )
    return table


class _Lanes:
    """Shows each failure once, however many violations it is an example of."""

    def __init__(self, failures: Mapping[str, Failure], width: int) -> None:
        self._left = dict(failures)
        self._width = width

    def of(self, violation: Violation) -> Iterable[RenderableType]:
        failure = self._left.pop(violation.replay or "", None)
        if failure is not None:
            lanes = lay_out_lanes(failure)
            yield Text(f"    {lanes.about}", "dim")
            if lanes.reproduction:
                yield Text(f"    drawn by: {lanes.reproduction}", "dim")
            yield from (Text(f"    {line}") for line in lanes.before)
            for line in lanes_lines(lanes, self._width):
                # A sentence stays one line; a table is made for what is left of the width.
                yield Text("    ").append(line) if isinstance(line, Text) else Padding(line, (0, 0, 0, 4))
            yield Text(f"    in the end: {lanes.message}")


def _sections(report: Report, folder: Path, lanes: _Lanes) -> Iterable[RenderableType]:
    for check in report.checks:
        if check.violations:
            yield from _violations(check, folder, lanes)
    for check, table in faults.worth_a_table(report.checks):
        yield from _lines(f"{words.check_title(check)}: what faults cost", faults.lines_found(table))
        yield from (Text(f"  {line}") for line in faults.lines_grid(table))
        yield Text("")
    yield from _lines("explored", _explored(report))
    yield from _lines("broken on purpose", faults.lines_broken(report))
    yield from _lines("broken at random", faults.lines_chaos(report))
    yield from _lines("loaded", words.lines_loaded(report))
    yield from _lines("audited", words.lines_audited(report))
    yield from _lines("not judged", words.lines_not_judged(report), "dim")
    yield from _lines(
        "not run", (_skipped(skip.scenario, skip.engine, skip.reason) for skip in report.not_run)
    )
    yield from _lines("why it is inconclusive", report.reasons, "yellow")
    yield Text.assemble((words.verdict_sentence(report.verdict), STYLES[report.verdict]))
    yield Text(f"{words.duration(report.seconds)}, seed {report.seed}, reports in {one_line(str(folder))}")


def _explored(report: Report) -> Iterable[str]:
    for check in report.checks:
        if explored := words.exploration(check):
            yield f"{words.check_title(check)}: {explored}"


def _violations(check: Check, folder: Path, lanes: _Lanes) -> Iterable[RenderableType]:
    yield Text(one_line(words.check_title(check)), "bold")
    for violation in check.violations[:_MOST_VIOLATIONS]:
        yield from _violation(violation, check, folder)
        yield from lanes.of(violation)
    left = len(check.violations) - _MOST_VIOLATIONS
    if left > 0:
        yield Text(f"  and {words.counted(left, 'violation')} more, in verdict.json")
    yield Text("")


def _violation(violation: Violation, check: Check, folder: Path) -> Iterable[Text]:
    yield Text.assemble(
        "  ",
        (one_line(violation.law), "bold red"),
        f" (in {words.hit_rate(violation, check)}): {one_line(violation.message)}",
    )
    if about := words.commit(violation):
        yield Text(f"    commit:   {one_line(about[0])}", "dim")
        yield from (Text(f"              {one_line(row)}", "dim") for row in about[1:])
    if violation.evidence:
        yield Text(f"    evidence: {one_line(str(folder / violation.evidence))}", "dim")
    if violation.replay:
        yield Text(f"    again:    oversell replay {one_line(violation.replay)}", "dim")


def _skipped(scenario: str, engine: str, reason: str) -> str:
    return f"{scenario} / {engine}: {reason}"


def _lines(heading: str, lines: Iterable[str], style: str = "") -> Iterable[RenderableType]:
    texts = [Text(f"  {one_line(line)}", style) for line in lines]
    if texts:
        yield Text(heading, "bold")
        yield from texts
        yield Text("")
