from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.model import Commit, Verdict
from harness.model.events import CheckFinished, CheckProgressed, CheckStarted, LoadProgressed, RunStarted
from harness.model.verdict import LoadFigures
from harness.reporting import ReportConsole, print_report, render_junit, render_markdown, render_page, words
from harness.reporting.console import ConsoleReporter
from tests.reporting.samples import (
    EXHAUSTED,
    EXPLORED,
    EXPLORED_REPORT,
    KEPT,
    OVERSOLD,
    SAFE,
    SAFE_REPORT,
    UNDECIDED_REPORT,
    VIOLATED,
    VIOLATED_REPORT,
    report_of,
    run_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def test_a_log_tells_the_whole_story(finished: Callable[..., Path], said: Callable[[], str]) -> None:
    """Target and database come first, then a line per check, the table, the sentences, the verdict."""
    folder = finished(VIOLATED_REPORT)
    parts = [
        "target    specimen:check_then_decrement\n",
        "database  PostgreSQL 18.4, embedded: no Docker daemon answers at unix:///var/run/docker.sock\n",
        "not run: proof_fails / burst: the target does not support: proof\n",
        "[1/2] rush / burst: violated, broken in 18 of 20 runs, 1.7 s\n",
        "[2/2] last_ticket / burst: safe, 20 runs, 0.9 s\n",
        "the clone took 31 ms\n",
        "overlapping seconds\n",
        f"  no_oversell (in 18 of 20 runs): {OVERSOLD.message}\n",
        f"    evidence: {folder / KEPT}\n",
        "  counters_agree: the target keeps no counter of what it sold (every check)\n",
        "  proof_fails / burst: the target does not support: proof\n",
        "violated: a law was broken, and the evidence is on disk (exit code 1)\n",
        f"reports in {folder}\n",
    ]
    places = [said().find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert "\x1b" not in said()


def test_each_verdict_says_its_exit_code(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """Safe and inconclusive reports end in their meaning, the latter with its reasons."""
    print_report(SAFE_REPORT, tmp_path, console)
    print_report(UNDECIDED_REPORT, tmp_path, console)
    assert "could have shown otherwise (exit code 0)" in said()
    assert "  same_person_twice/burst: no two overlapped\n" in said()
    assert "could not be judged (exit code 3)" in said()


def test_a_sentence_is_never_cut(tmp_path: Path, console: ReportConsole, said: Callable[[], str]) -> None:
    """A sentence longer than the console is wide stays one whole line."""
    message = " ".join(f"buyer-{number}" for number in range(200))
    check = replace(VIOLATED, violations=(replace(OVERSOLD, message=message),))
    print_report(report_of(check, verdict=Verdict.VIOLATED), tmp_path, console)
    assert any(line.endswith(message) for line in said().splitlines())


def test_hostile_text_is_shown_and_does_nothing(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """Console markup and escape sequences in names and messages are neither obeyed nor lost."""
    hostile = "[red]x[/red]\x1b]0;title\x07\r\nverdict: safe"
    check = replace(VIOLATED, scenario=hostile, violations=(replace(OVERSOLD, message=hostile),))
    report = report_of(check, verdict=Verdict.VIOLATED, target=hostile)
    reporter = ConsoleReporter(console)
    for event in run_events(report, tmp_path):
        reporter(event)
    assert "[red]x[/red]\ufffd]0;title\ufffd verdict: safe" in said()
    assert not any(control in said() for control in "\x1b\x07\r")


def test_many_violations_are_counted(tmp_path: Path, console: ReportConsole, said: Callable[[], str]) -> None:
    """Beyond ten of one check they are counted, not listed."""
    check = replace(VIOLATED, violations=(OVERSOLD,) * 13)
    print_report(report_of(check, verdict=Verdict.VIOLATED), tmp_path, console)
    assert said().count(OVERSOLD.message) == 10
    assert "and 3 violations more, in verdict.json" in said()


def test_a_terminal_shows_progress_and_is_given_back(tmp_path: Path) -> None:
    """On a terminal the check at work is redrawn in place; closing shows the cursor again."""
    now = iter(range(10_000))
    console = ReportConsole(file=Screen(), force_terminal=True, width=100)
    reporter = ConsoleReporter(console, clock=lambda: float(next(now)))
    for event in run_events(VIOLATED_REPORT, tmp_path):
        reporter(event)
        if isinstance(event, CheckProgressed):
            break
    reporter.close()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "[1/2] rush / burst" in shown
    assert "1/20" in shown
    assert "1 hit" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0


def test_colour_in_a_log_redraws_nothing(tmp_path: Path) -> None:
    """A log that asked for colour gets plain lines in colour, without cursor movements."""
    console = ReportConsole(file=io.StringIO(), force_terminal=True)
    reporter = ConsoleReporter(console)
    for event in run_events(VIOLATED_REPORT, tmp_path):
        reporter(event)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "\x1b[1;31mviolated\x1b[0m" in shown
    assert not re.search(r"\x1b\[[?0-9;]*[A-LN-Za-ln-z]", shown)


def test_a_long_check_gives_a_sign_of_life_in_a_log(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """In a log, progress is said every ten seconds and not more often."""
    now = [0.0]
    reporter = ConsoleReporter(console, clock=lambda: now[0])
    reporter(RunStarted(target="t", database="d", seed=1, folder=tmp_path, checks=(("rush", "explore"),)))
    reporter(CheckStarted(scenario="rush", engine="explore"))
    for second in range(25):
        now[0] = float(second)
        reporter(CheckProgressed(scenario="rush", engine="explore", done=second, of=5_000, hits=1))
    lines = [line for line in said().splitlines() if "of 5,000 runs" in line]
    assert lines == [f"rush / explore: {done} of 5,000 runs, 1 hit" for done in (10, 20)]


def test_a_long_exploration_gives_a_sign_of_life_without_an_end(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """Where nobody knows how many runs there will be, those made are counted; a terminal copes as well."""
    now = iter(range(0, 10_000, 11))
    for each in (console, ReportConsole(file=Screen(), force_terminal=True, width=100)):
        reporter = ConsoleReporter(each, clock=lambda: float(next(now)))
        reporter(RunStarted(target="t", database="d", seed=1, folder=tmp_path, checks=(("rush", "explore"),)))
        reporter(CheckStarted(scenario="rush", engine="explore"))
        reporter(CheckProgressed(scenario="rush", engine="explore", done=1_234, of=0, hits=0))
        reporter.close()
    assert "rush / explore: 1,234 runs\n" in said()
    assert isinstance(each.file, Screen)
    assert "1234/?" in each.file.getvalue()


def progressed(seconds: float, **changes: object) -> LoadProgressed:
    """Return how a load goes after so many seconds."""
    event = LoadProgressed(
        scenario="rush",
        seconds=seconds,
        of=60,
        users=200,
        sales=3,
        sold=1_820,
        remaining=180,
        rate=812.4,
        failures=1,
        commits=4_321,
        lag_seconds=0.012,
        median_ms=4,
        p95_ms=11.6,
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # the fields are checked by replace


def test_a_load_says_every_few_seconds_how_it_goes_in_a_log(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """One line with everything, not one for each event."""
    now = [0.0]
    reporter = ConsoleReporter(console, clock=lambda: now[0])
    reporter(RunStarted(target="t", database="d", seed=1, folder=tmp_path, checks=(("rush", "swarm"),)))
    reporter(CheckStarted(scenario="rush", engine="swarm"))
    for half in range(24):
        now[0] = half / 2
        reporter(progressed(half / 2))
    lines = [line for line in said().splitlines() if line.startswith("rush / swarm: ")]
    numbers = (
        "sold 1,820, 180 left, 812 requests/s, 1 error, 4,321 commits audited, lag 0.01 s, 95% within 12 ms, "
        "200 users, sale 3"
    )
    assert lines == [f"rush / swarm: {second} of 60 s, {numbers}" for second in (5, 10)]


def test_a_load_is_one_live_line_on_a_terminal(tmp_path: Path) -> None:
    """It is redrawn in place, as much of it as fits, and gone when the check has ended."""
    now = iter(range(10_000))
    console = ReportConsole(file=Screen(), force_terminal=True, width=80)
    reporter = ConsoleReporter(console, clock=lambda: float(next(now)))
    reporter(RunStarted(target="t", database="d", seed=1, folder=tmp_path, checks=(("rush", "swarm"),) * 2))
    for _ in range(2):
        reporter(CheckStarted(scenario="rush", engine="swarm"))
        reporter(progressed(1))
        reporter(progressed(2, sold=1_990))
        reporter(CheckFinished(check=replace(SAFE, engine="swarm")))
    reporter.close()
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    line = "rush / swarm: 2 of 60 s, sold 1,990, 180 left, 812 requests/s, 1 error"
    assert f"\r\x1b[2K{line}" in shown, "redrawn in place"
    assert f"{line}\n\x1b[?25h\r\x1b[1A\x1b[2K[2/2]" in shown, "gone when it has ended"
    assert "commits" not in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0


def test_a_load_says_what_it_does_not_know() -> None:
    """No numbers are made up where the books cannot be seen, and sampling is called that."""
    facts = words.load_facts(progressed(3, sold=None, remaining=None, lag_seconds=None))
    assert not any("sold" in fact or "left" in fact or "commit" in fact or "lag" in fact for fact in facts)
    assert "audit sampled" in facts


COMMITTED = replace(
    VIOLATED,
    engine="swarm",
    audit="every commit",
    commits_audited=1_234,
    load=LoadFigures(users=200, seconds=60, requests=48_000, failures=1, rate=800, median_ms=4, p95_ms=11.6),
    violations=(
        replace(
            OVERSOLD,
            commit=Commit(
                xid=987,
                at=1_767_268_800_123_456,
                rows=tuple(f"public.tickets t{number}: remaining 1 -> 0" for number in range(8)),
            ),
        ),
    ),
)


def test_a_swarm_has_its_place_in_every_report(
    tmp_path: Path, console: ReportConsole, said: Callable[[], str]
) -> None:
    """How the load was, on how many commits the verdict rests, and which of them broke a law."""
    report = report_of(
        COMMITTED, replace(SAFE, audit="sampled: no right", states_audited=7), verdict=Verdict.VIOLATED
    )
    print_report(report, tmp_path, console)
    number = "transaction 987, committed 2026-01-01 12:00:00.123456 UTC"
    assert f"    commit:   {number}\n              public.tickets t0: remaining 1 -> 0\n" in said()
    assert "              and 2 rows more\n" in said()
    loaded = (
        "200 users for 1 min 0 s, 48,000 requests, 800 a second, half of them answered within 4 ms and 95% "
        "within 12 ms, 1 error; 20 sales"
    )
    assert f"  rush / swarm: {loaded}\n" in said()
    assert "  every commit; 1,234 commits judged (rush / swarm)\n" in said()
    assert "  sampled: no right; 7 states judged (last_ticket / burst)\n" in said()
    markdown = render_markdown(report)
    assert f"Commit: {number}; public.tickets t0: remaining 1 -&gt; 0;" in markdown
    assert "### Audited\n\n- every commit; 1,234 commits judged (rush / swarm)\n" in markdown
    assert f"### Loaded\n\n- rush / swarm: {loaded}\n" in markdown
    junit = render_junit(report)
    assert f"{OVERSOLD.message.replace(chr(34), '&quot;')} ({number})" in junit
    assert f"audited: every commit, commits 1234, states 40\nload: {loaded}\n" in junit
    page = render_page(report, {})
    assert f"Load: {loaded}." in page
    assert f"<dd>{number}<br><code>public.tickets t0: remaining 1 -&gt; 0</code>" in page
    assert "Audited: sampled: no right." in page


def test_a_commit_of_no_time_that_there_is_is_still_shown() -> None:
    """A document may come from somebody else."""
    violation = replace(OVERSOLD, commit=Commit(xid=1, at=10**20))
    assert words.commit(violation) == (f"transaction 1, committed {10**20} µs after 1970",)


def test_exhausted_is_said_of_nothing_less(finished: Callable[..., Path], said: Callable[[], str]) -> None:
    """The word stands in every report of an exhausted exploration and in none of another."""
    folder = finished(report_of(EXHAUSTED, verdict=Verdict.SAFE))
    for text in (
        said(),
        *((folder / name).read_text() for name in ("report.md", "report.html", "junit.xml")),
    ):
        assert "17 schedules stand for 2,557 orders: exhausted" in text


def test_an_exploration_that_stopped_is_not_called_exhausted(
    finished: Callable[..., Path], said: Callable[[], str]
) -> None:
    """What was left out may hold the bug, so the word is not even said with a *not* before it."""
    folder = finished(EXPLORED_REPORT)
    for text in (
        said(),
        *((folder / name).read_text() for name in ("report.md", "report.html", "junit.xml")),
    ):
        assert "2 schedules run: not every order was covered" in text
        assert not re.search(r"exhausted|proved", text)


def test_a_probability_is_rounded_down() -> None:
    """Schedules drawn at random say how likely they were to find something, and never that it is certain."""
    drawn = replace(EXHAUSTED, exhausted=False, orders=None, probability=0.99999)
    assert words.exploration(drawn).endswith("with a probability of at least 99.9%")
    assert "at least 12.3%" in words.exploration(replace(drawn, probability=0.12399))
    assert "probability" not in words.exploration(replace(EXPLORED, probability=0.5))


def test_retries_are_told_as_the_price_of_a_level() -> None:
    """Who compares isolation levels reads how many operations would have to be tried again."""
    paid = replace(EXPLORED, operations=82, outcomes={"accepted": 55, "retryable": 27})
    assert words.exploration(paid).endswith("27 of 82 operations would have to be tried again")
    assert "again" not in words.exploration(replace(EXPLORED, outcomes={"accepted": 55, "retryable": 0}))
