"""Swim lanes: what happened, readable without colour, whatever the statements hold."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from harness.model import Cancel, Phase, Program, Reserve, TicketType, Verdict
from harness.reporting import ReportConsole, lanes_lines, lay_out_lanes, render_markdown, render_page
from harness.reporting.lanes import short_statement
from tests.reporting.samples import (
    EXPLORED,
    EXPLORED_REPORT,
    FAILURE,
    READ,
    failure_of,
    failures,
    report_of,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.model import Failure


def shown(failure: Failure, width: int = 80, **options: object) -> str:
    """Return the lanes as a console of that width shows them."""
    console = ReportConsole(file=io.StringIO(), width=width, **options)
    for line in lanes_lines(lay_out_lanes(failure), width):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_lanes_tell_the_story() -> None:
    """Starts, statements, waits, the wait's end, commits, the second sale and the answers are all there."""
    assert re.sub(r" +(?=\n)", "", shown(FAILURE)) == (
        "     │ buyer-1                            │ buyer-2\n"
        "─────┼────────────────────────────────────┼───────────────────────────────────\n"
        "   1 │ start: reserve 1 × last for        │\n"
        "     │ buyer-1                            │\n"
        "   2 │                                    │ start: reserve 1 × last for\n"
        "     │                                    │ buyer-2\n"
        "   3 │ SELECT quantity_available FROM     │\n"
        "     │ tickets WHERE id = $1              │\n"
        "   4 │                                    │ SELECT quantity_available FROM\n"
        "     │                                    │ tickets WHERE id = $1\n"
        "   5 │ UPDATE tickets SET                 │\n"
        "     │ quantity_available = $2 WHERE id = │\n"
        "     │ $1                                 │\n"
        "   6 │                                    │ UPDATE tickets SET\n"
        "     │                                    │ quantity_available = $2 WHERE id =\n"
        "     │                                    │ $1\n"
        "     │                                    │ waits for buyer-1\n"
        "   7 │ commit                             │ :\n"
        "   8 │                                    │ goes on\n"
        "   9 │ INSERT INTO rsvps (…) VALUES (…)   │\n"
        "     │ with its commit, in one            │\n"
        "  10 │                                    │ INSERT INTO rsvps (…) VALUES (…)\n"
        "     │                                    │ with its commit, in one\n"
        "     │                                    │ <== by here 2 of 1 × last are sold\n"
        "     │ told: accepted                     │ told: accepted\n"
    )


@pytest.mark.parametrize("buyers", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("width", [40, 80, 130])
def test_lanes_fit(buyers: int, width: int) -> None:
    """However many buyers there are, no line is wider than the console; up to four stand side by side."""
    text = shown(failure_of(buyers), width)
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width
    side_by_side = "buyer-1" in lines[0]
    assert side_by_side == (buyers <= (2 if width == 40 else 4))
    assert len(re.findall(r"^ *\d+ [│|]", text, re.MULTILINE)) == len(failure_of(buyers).steps)


def test_no_colour_is_needed() -> None:
    """With and without colour the same is said, and NO_COLOR is heeded."""
    coloured = shown(FAILURE, force_terminal=True)
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == shown(FAILURE)
    assert "\x1b[1;31m" not in shown(FAILURE, force_terminal=True, no_color=True)


def test_errors_and_rollbacks_are_marked() -> None:
    """A failed statement says so in words, and a rollback is no commit."""
    steps = (
        step("buyer-1", "execute", READ, failed=True),
        step("buyer-1", "rollback", "commit of: x"),
        step("buyer-1", "rollback", "ROLLBACK TO SAVEPOINT a"),
    )
    rows = lay_out_lanes(replace(FAILURE, steps=steps)).rows
    assert rows[0].lines == (READ, "ERROR")
    assert [row.what for row in rows[1:]] == ["rollback", "ROLLBACK TO SAVEPOINT a"]


@pytest.mark.parametrize(
    ("sql", "short"),
    [
        ("INSERT INTO a.b (x, y)\n  VALUES ($1, $2::int) RETURNING *", "INSERT INTO a.b (…) VALUES (…)"),
        ("SELECT one, two, three, four, five, six FROM t WHERE x", "SELECT … FROM t WHERE x"),
        ("SELECT count(*) FROM rsvps", "SELECT count(*) FROM rsvps"),
        ("SELECT * FROM create_rsvp($1, $2, $3)", "SELECT * FROM create_rsvp(…)"),
        (
            "WITH x AS (DELETE FROM h RETURNING id) SELECT 1",
            "WITH x AS (DELETE FROM h RETURNING id) SELECT 1",
        ),
        ("x" * 500, "x" * 159 + "…"),
        ("", ""),
    ],
)
def test_statements_are_shortened_to_what_matters(sql: str, short: str) -> None:
    """Lists of columns and parameters go; guards and locks stay."""
    assert short_statement(sql) == short


def test_one_person_twice_is_marked_where_the_second_is_in() -> None:
    """The mark is on the later of the two clients' last commits."""
    program = Reserve(ticket="last", person="eager")
    phases = (Phase("rush", (Program("buyer-1", (program,)), Program("buyer-2", (program,)))),)
    scenario = replace(FAILURE.scenario, tickets=(TicketType(name="last", initial=2),), phases=phases)
    rows = lay_out_lanes(replace(FAILURE, scenario=scenario, laws=("one_per_person",))).rows
    assert [(row.number, row.mark) for row in rows if row.mark] == [(10, "by here eager has 2 reservations")]


def test_nothing_is_marked_that_the_steps_do_not_tell() -> None:
    """No mark without answers, with cancellations, after another phase, or for another law."""
    cancels = (
        *FAILURE.scenario.phases,
        Phase("later", (Program("x", (Cancel(ticket="last", person="x"),)),)),
    )
    earlier = (Phase("first", ()), *FAILURE.scenario.phases)
    for odd in (
        replace(FAILURE, answers={}),
        replace(FAILURE, answers={"buyer-1": ("accepted",), "buyer-2": ("sold_out",)}),
        replace(FAILURE, scenario=replace(FAILURE.scenario, phases=cancels)),
        replace(FAILURE, scenario=replace(FAILURE.scenario, phases=earlier), phase=1),
        replace(FAILURE, laws=("no_leak",)),
    ):
        assert not any(row.mark for row in lay_out_lanes(odd).rows)


HOSTILE = "</td><script>alert(1)</script>[red]\x1b]0;x\x07\r\n| a `b` @c \u202e"


def hostile() -> Failure:
    """A failure in which every text is hostile."""
    phase = Phase("p", (Program(HOSTILE, (Reserve(ticket=HOSTILE, person=HOSTILE),)),))
    return replace(
        FAILURE,
        scenario=replace(FAILURE.scenario, tickets=(TicketType(name=HOSTILE, initial=0),), phases=(phase,)),
        steps=(
            step(HOSTILE, "start"),
            step(HOSTILE, HOSTILE, HOSTILE, waited_for=(HOSTILE,), failed=True),
            step(HOSTILE, "commit"),
        ),
        message=HOSTILE,
        isolation=HOSTILE,
        answers={HOSTILE: ("accepted", HOSTILE)},
    )


def test_hostile_text_is_shown_and_does_nothing() -> None:
    """Markup and escape sequences in statements and names are neither obeyed nor lost."""
    assert not any(control in shown(hostile()) for control in "\x1b\x07\r\u202e")
    assert "[red]" in shown(hostile())
    page = render_page(EXPLORED_REPORT, {}, {FAILURE.id: hostile()})
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    text = render_markdown(EXPLORED_REPORT, {FAILURE.id: hostile()})
    rows = [line for line in text.partition("### The schedule")[2].splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3}
    assert "<script" not in text


@settings(max_examples=50)
@given(failures)
def test_any_failure_can_be_shown(failure: Failure) -> None:
    """No failure is too odd for the console, the page or the Markdown, and each can be encoded."""
    text = shown(failure)
    text += render_page(EXPLORED_REPORT, {}, {FAILURE.id: failure})
    text += render_markdown(EXPLORED_REPORT, {FAILURE.id: failure})
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    text.encode()


def test_every_report_shows_a_failure_once(finished: Callable[..., Path], said: Callable[[], str]) -> None:
    """Two laws broken by one schedule share its lanes; the id is with each."""
    folder = finished(EXPLORED_REPORT)
    for text, mark in (
        (said(), "<== by here 2 of 1 × last are sold"),
        ((folder / "report.md").read_text(), "&lt;== by here 2 of 1 × last are sold"),
        ((folder / "report.html").read_text(), "<strong>by here 2 of 1 × last are sold</strong>"),
    ):
        assert text.count(mark) == 1
        assert text.count(f"oversell replay {FAILURE.id}") == 2
        assert "10 steps, 3 preemptions; broken again in 10 of 10 replays" in text
    assert f"In the end: {FAILURE.message}" in (folder / "report.html").read_text()


def test_many_lanes_are_stacked_on_page_and_in_markdown() -> None:
    """With more than four clients a row names its client, everywhere."""
    many = {FAILURE.id: failure_of(6)}
    assert '<table class="swim">' in render_page(EXPLORED_REPORT, {}, many)
    assert '<table class="swim abreast">' in render_page(EXPLORED_REPORT, {}, {FAILURE.id: FAILURE})
    assert "| client | step |" in render_markdown(EXPLORED_REPORT, many)


def test_schedules_leave_room_in_a_comment() -> None:
    """Failures that do not fit into a comment are counted, and the text before them stays."""
    violations = tuple(replace(EXPLORED.violations[0], replay=f"f{number}") for number in range(20))
    report = report_of(replace(EXPLORED, violations=violations), verdict=Verdict.VIOLATED)
    long = replace(FAILURE, steps=FAILURE.steps * 10)
    text = render_markdown(report, {f"f{number}": long for number in range(20)})
    assert len(text) < 65_536
    assert re.search(r"There is no room for \d+ schedules; see `report.html`", text)
