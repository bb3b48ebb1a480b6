"""Swim lanes: a failing schedule laid out for the eye. A column per client, a numbered row per step.

What is said of a step is what a person needs to follow it: the statement without its lists of columns and
parameters, who stood in its way, that it went on, that it failed. The whole statement is in the failure's
file. Everything is said in words, so that it reads the same without colour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from harness.model import Cancel, Outcome, Reserve
from harness.reporting.text import cut, one_line
from harness.reporting.words import counted, operation_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.model import Failure, Program, Step

MOST_ABREAST = 4
"""Lanes that are shown side by side; more clients share one column."""
MOST_STEPS = 200
_LONGEST_STATEMENT = 160
_LONGEST_LINE = 1000
_PARAMETER = r"\s*\$\d+(?:::\w+)?\s*"
_SHORTER = (
    (re.compile(r"\s+RETURNING\s+[\w\s,.\"*]+$", re.IGNORECASE), ""),
    (re.compile(rf"\((?:{_PARAMETER},)+{_PARAMETER}\)"), "(…)"),
    (re.compile(r"^(INSERT\s+INTO\s+[\w.\"]+)\s*\([^()]*\)", re.IGNORECASE), r"\1 (…)"),
    (re.compile(r"^SELECT\s+[^()]{30,}?\s+FROM\s", re.IGNORECASE), "SELECT … FROM "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step."""

    number: int
    client: str
    kind: str
    what: str
    """What happens, on one line."""
    notes: tuple[str, ...] = ()
    """What it came to: a wait, an error."""
    mark: str = ""
    """What had been sold by here, on the row by which it was too much."""
    waiting: frozenset[str] = frozenset()
    """Clients that wait for a lock meanwhile."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything said of the step, the mark last."""
        return (self.what, *self.notes, *([f"<== {self.mark}"] if self.mark else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """A failure as it is shown."""

    clients: tuple[str, ...]
    rows: tuple[Row, ...]
    more: int
    """Steps left out because there are too many for a page."""
    told: Mapping[str, str]
    """What each client was told at last; none of those whose answers are not known."""
    about: str
    """How long it is and how sure, in one line."""
    message: str
    """What the broken law says of it."""
    before: tuple[str, ...] = ()
    """What was done before these steps, a line for each phase."""
    reproduction: str = ""
    """How Hypothesis draws it again, where Hypothesis drew it."""

    @property
    def abreast(self) -> bool:
        """Whether the lanes fit side by side."""
        return len(self.clients) <= MOST_ABREAST


def lay_out_lanes(failure: Failure) -> Lanes:
    """Return a failure, laid out."""
    programs = failure.scenario.phases[failure.phase].programs
    rows = tuple(_rows(failure))
    return Lanes(
        clients=tuple(one_line(program.client) for program in programs),
        rows=rows[:MOST_STEPS],
        more=max(0, len(rows) - MOST_STEPS),
        told={
            one_line(client): f"told: {', '.join(map(one_line, answers))}"
            for client, answers in failure.answers.items()
        },
        about=_about(failure),
        message=one_line(failure.message),
        before=tuple(_before(failure)),
        reproduction=one_line(failure.reproduction),
    )


def short_statement(sql: str) -> str:
    """Return a statement on one line, without what a person does not need to follow a schedule."""
    text = cut(sql, 4 * _LONGEST_STATEMENT)
    for pattern, shorter in _SHORTER:
        text = pattern.sub(shorter, text)
    return cut(text, _LONGEST_STATEMENT)


def _about(failure: Failure) -> str:
    level = f", isolation {one_line(failure.isolation)}" if failure.isolation else ""
    return (
        f"{counted(len(failure.steps), 'step')}, {counted(failure.preemptions, 'preemption')}{level}; "
        f"broken again in {failure.reproduced:,} of {counted(failure.replayed, 'replay')}"
    )


def _before(failure: Failure) -> Iterable[str]:
    """Say what came before the steps that are shown, and in which order where that was one of many."""
    for number, phase in enumerate(failure.scenario.phases[: failure.phase]):
        programs = (
            f"{one_line(program.client)}: {', then '.join(map(operation_words, program.operations))}"
            for program in phase.programs
        )
        line = f"before, {one_line(phase.title)}: {'; '.join(programs)}"
        choices = failure.earlier[number] if number < len(failure.earlier) else ()
        turns = [f"{one_line(client)} {len(list(steps))}" for client, steps in groupby(choices)]
        yield cut(f"{line}; let go for so many steps: {', '.join(turns)}" if turns else line, _LONGEST_LINE)


def _rows(failure: Failure) -> Iterator[Row]:
    programs = {program.client: program for program in failure.scenario.phases[failure.phase].programs}
    marked, mark = _too_much(failure) or (None, "")
    waiting: set[str] = set()
    for place, step in enumerate(failure.steps):
        waiting.discard(one_line(step.client))
        yield Row(
            number=place + 1,
            client=one_line(step.client),
            kind=one_line(step.kind),
            what=_what(step, programs.get(step.client)),
            notes=tuple(_notes(step)),
            mark=mark if place == marked else "",
            waiting=frozenset(waiting),
        )
        if step.waited_for:
            waiting.add(one_line(step.client))


def _what(step: Step, program: Program | None) -> str:
    match step.kind:
        case "start":
            operations = program.operations if program else ()
            return cut(f"start: {', then '.join(map(operation_words, operations))}", _LONGEST_STATEMENT)
        case "commit":
            return "commit"
        case "rollback" if step.statement.startswith("commit of: "):
            return "rollback"
        case "resume":
            return "goes on"
        case _:
            return short_statement(step.statement)


def _notes(step: Step) -> Iterable[str]:
    if step.kind == "whole":
        yield "with its commit, in one"
    if step.waited_for:
        yield f"waits for {', '.join(map(one_line, step.waited_for))}"
    if step.failed:
        yield "ERROR"


def _too_much(failure: Failure) -> tuple[int, str] | None:
    """Return the first step by which more was bought than may be, and what that is.

    A purchase that was accepted is committed by the last commit of its client, so "by here" is true of
    that step; it may have been earlier, which the steps alone do not tell. Nothing is marked where they say
    less than that: when somebody cancels, or something came before these steps.
    """
    if failure.phase or any(isinstance(operation, Cancel) for operation in failure.scenario.operations()):
        return None
    bought: list[Reserve] = []
    for place, client in sorted(_last_commits(failure)):
        bought += _accepted(failure, client)
        excess = _excess(failure, bought)
        if excess:
            return place, excess
    return None


def _last_commits(failure: Failure) -> Iterable[tuple[int, str]]:
    commits = {
        step.client: place
        for place, step in enumerate(failure.steps)
        if step.kind in ("commit", "whole") and not step.failed
    }
    return ((place, client) for client, place in commits.items())


def _accepted(failure: Failure, client: str) -> Iterable[Reserve]:
    programs = {program.client: program for program in failure.scenario.phases[failure.phase].programs}
    operations = programs[client].operations if client in programs else ()
    for operation, answer in zip(operations, failure.answers.get(client, ()), strict=False):
        if isinstance(operation, Reserve) and answer == Outcome.ACCEPTED:
            yield operation


def _excess(failure: Failure, bought: list[Reserve]) -> str:
    """Say what of these purchases is too much by the laws that were broken; empty when nothing is."""
    if "no_oversell" in failure.laws:
        for ticket in failure.scenario.tickets:
            sold = sum(reserve.quantity for reserve in bought if reserve.ticket == ticket.name)
            if sold > ticket.initial:
                return f"by here {sold} of {ticket.initial} × {one_line(ticket.name)} are sold"
    if "one_per_person" in failure.laws:
        events = {ticket.name: ticket.event for ticket in failure.scenario.tickets}
        people = [(reserve.person, events[reserve.ticket]) for reserve in bought]
        for person, event in people:
            if people.count((person, event)) > 1:
                return f"by here {one_line(person)} has {people.count((person, event))} reservations"
    return ""
