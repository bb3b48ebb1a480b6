"""Say whether some order of the calls of a recorded history explains every answer.

FILE holds one JSON object a line, two for each operation (invoke, then ok, fail or info), or the evidence of
a run folder. Exit codes: 0 explainable, 1 not explainable, 3 undecided.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from harness.cli._options import Budget, settings
from harness.errors import InconclusiveError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.model import Books, Call, TicketType
    from harness.model.history import Finding

    _History: TypeAlias = tuple[list[TicketType], list[Call], Books | None, list[str]]
    """Ticket types, calls, the books at the end if they are known, and what a person should know."""

_EXIT_CODES = {"not explainable": 1, "undecided": 3, "explainable": 0}
"""By what was found, that which outweighs the others first."""


@click.command("history", help=__doc__)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--initial",
    "initials",
    multiple=True,
    metavar="TICKET=NUMBER",
    help="How many there are to sell of a ticket type, where the file does not say. One or more.",
)
@click.option(
    "--budget",
    type=Budget(1),
    help="How many configurations may be looked at before it is undecided.  [default: 20000]",
)
@settings("json")
def history(file: Path, initials: Sequence[str], budget: int | None, json: bool) -> int:
    """Check, print what was found, and return the exit code."""
    from harness.laws.linearizable import BUDGET, explain

    given = _initials(initials)
    tickets, calls, books, notes = _read(file, given)
    findings = explain(tickets, calls, books, budget=budget or BUDGET)
    worst = min((finding.explained.value for finding in findings), key=list(_EXIT_CODES).index)
    if json:
        from harness.cli._output import print_document

        print_document(_document(worst, findings, calls, notes))
    else:
        _print(worst, findings, calls, notes)
    return _EXIT_CODES[worst]


COMMAND = history


def _initials(texts: Iterable[str]) -> dict[str, int]:
    given: dict[str, int] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        if not name or not number.isdecimal():
            raise UsageError(f"--initial {text!r} is not TICKET=NUMBER, such as general=100.")
        if name in given:
            raise UsageError(f"--initial names the ticket type {name!r} twice.")
        given[name] = int(number)
    return given


def _read(file: Path, initials: dict[str, int]) -> _History:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a text in UTF-8 ({error.reason}).") from error
    if text.lstrip().partition("\n")[0].strip() == "{":
        return _of_evidence(file, initials)
    return _of_lines(file, text, initials)


def _of_evidence(file: Path, initials: dict[str, int]) -> _History:
    from harness.reporting import read_evidence

    if initials:
        raise UsageError(f"{file} is the evidence of a run and says itself how many there were to sell.")
    try:
        evidence = read_evidence(file)
    except InconclusiveError as error:
        raise UsageError(str(error)) from error
    return list(evidence.scenario.tickets), list(evidence.history), evidence.books, []


def _of_lines(file: Path, text: str, initials: dict[str, int]) -> _History:
    from dataclasses import replace

    from harness.cli._history_lines import read_lines
    from harness.model import TicketType

    found = read_lines(file, text.splitlines())
    tickets = {ticket.name: ticket for ticket in found.tickets}
    mentioned = {call.operation.ticket for call in found.calls} | set(tickets)
    if strangers := sorted(set(initials) - mentioned):
        raise UsageError(
            f"{file} has no ticket type {', '.join(strangers)}; it has: {', '.join(sorted(mentioned))}."
        )
    for name, initial in initials.items():
        known = tickets.get(name)
        tickets[name] = (
            TicketType(name=name, initial=initial) if known is None else replace(known, initial=initial)
        )
    missing = sorted(mentioned - set(tickets))
    if missing:
        options = " ".join(f"--initial {name}=NUMBER" for name in missing)
        raise UsageError(f"{file} does not say how many there were to sell. Add {options}.")
    notes = [
        f"line {line}: the operation of process {process} was never completed; "
        "it may have taken effect at any time since, or never"
        for line, process in found.unfinished
    ]
    return list(tickets.values()), found.calls, None, notes


def _print(worst: str, findings: Iterable[Finding], calls: list[Call], notes: list[str]) -> None:
    from harness.laws.linearizable import told
    from harness.model.history import Explained
    from harness.reporting.text import one_line

    for note in notes:
        click.echo(one_line(note))
    for finding in findings:
        if finding.explained is Explained.NO:
            ticket = f"{finding.ticket}: " if finding.ticket else ""
            click.echo(one_line(f"{ticket}{told(finding, calls)}"))
        elif finding.explained is Explained.UNDECIDED:
            click.echo(one_line(f"{finding.reason}."))
    methods = ", ".join(dict.fromkeys(finding.method for finding in findings))
    click.echo(f"{worst.upper()}: {len(calls)} operations ({methods}).")


def _document(worst: str, findings: Iterable[Finding], calls: list[Call], notes: list[str]) -> dict[str, Any]:
    from harness.reporting.plain import to_plain

    plain: dict[str, Any] = to_plain(
        {"explained": worst, "operations": len(calls), "notes": notes, "findings": tuple(findings)}
    )
    return plain
