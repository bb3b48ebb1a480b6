"""Reading a history from a file of events, one JSON object a line; see ``docs/history.md``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from harness.errors import UsageError
from harness.model import Answer, Call, Outcome, TicketType
from harness.model.operations import operation_from_dict
from harness.reporting.plain import from_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.model import Operation

FORMAT, VERSION = "oversell-history", 1
_OUTCOMES = {
    "ok": (Outcome.ACCEPTED,),
    "fail": (Outcome.SOLD_OUT, Outcome.DUPLICATE, Outcome.RETRYABLE, Outcome.INVALID),
    "info": (Outcome.UNKNOWN,),
}
"""What an operation may have come to that ended in such an event; the first is meant when none is said,
except after ``fail``."""


@dataclass(slots=True)
class Lines:
    """What a file of events holds."""

    calls: list[Call] = field(default_factory=list)
    tickets: list[TicketType] = field(default_factory=list)
    """Those that its first line names, if it names any."""
    unfinished: list[tuple[int, str]] = field(default_factory=list)
    """Line and process of each operation that has no completion."""


@dataclass(slots=True)
class _Process:
    """One process, as far as its lines were read."""

    clock: int
    line: int
    operation: Operation | None = None


def read_lines(path: Path, lines: Iterable[str]) -> Lines:
    """Return the calls of a file of events.

    :raises UsageError: when a line is not what it must be; the message names the line.
    """
    reader = _Reader(path)
    for number, line in enumerate(lines, 1):
        if line.strip():
            reader.take(number, line)
    return reader.done()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = Lines()
        self._processes: dict[str, _Process] = {}
        self._number = 0
        self._first = True

    def take(self, number: int, line: str) -> None:
        """Read one line."""
        self._number = number
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            self._refuse(f"not valid JSON ({error})")
        if not isinstance(event, dict):
            self._refuse("not a JSON object")
        first, self._first = self._first, False
        if "format" in event or "version" in event:
            self._read_heading(event, first=first)
            return
        kind = event.get("type")
        name, time = event.get("process"), event.get("time")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            self._refuse(f"the process must be a name or a number, not {name!r}")
        if type(time) is not int:
            self._refuse(f"the time must be a whole number of nanoseconds, not {time!r}")
        if kind == "invoke":
            self._invoke(name, time, event.get("operation"))
        elif kind in _OUTCOMES:
            self._complete(name, time, kind, event.get("answer"))
        else:
            self._refuse(f"unknown type of event {kind!r}; valid: invoke, ok, fail, info")

    def done(self) -> Lines:
        """Return what was read; operations without a completion may yet take effect."""
        for name, process in self._processes.items():
            if process.operation is not None:
                self._found.unfinished.append((process.line, name))
                self._add(name, process, Answer(Outcome.UNKNOWN), None)
        self._found.unfinished.sort()
        self._found.calls.sort(key=lambda call: call.invoked)
        if not self._found.calls:
            raise UsageError(f"{self._path} holds no operations. See docs/history.md for the format.")
        return self._found

    def _read_heading(self, event: dict[str, Any], *, first: bool) -> None:
        if not first:
            self._refuse("the format and its version belong into the first line")
        if event.get("format") != FORMAT:
            self._refuse(f"the format is {event.get('format')!r}; this command reads {FORMAT!r}")
        if event.get("version") != VERSION:
            self._refuse(
                f"version {event.get('version')!r} of the format; this command reads version {VERSION}"
            )
        for ticket in event.get("tickets") or ():
            try:
                self._found.tickets.append(from_plain(TicketType, ticket, "ticket"))
            except ValueError as error:
                self._refuse(str(error))

    def _invoke(self, name: str, time: int, data: Any) -> None:
        process = self._processes.get(name)
        if process is not None and process.operation is not None:
            self._refuse(
                f"process {name} invokes again before its operation of line {process.line} was completed; "
                "one process has one operation at a time"
            )
        self._check_clock(name, process, time)
        self._processes[name] = _Process(time, self._number, self._operation(data))

    def _complete(self, name: str, time: int, kind: str, data: Any) -> None:
        process = self._processes.get(name)
        if process is None or process.operation is None:
            self._refuse(f"process {name} completes an operation ({kind}) that it did not invoke")
        self._check_clock(name, process, time)
        self._add(name, process, self._answer(kind, data), time)
        process.operation, process.clock, process.line = None, time, self._number

    def _add(self, name: str, process: _Process, answer: Answer, completed: int | None) -> None:
        if process.operation is not None:
            self._found.calls.append(
                Call(
                    index=len(self._found.calls),
                    client=name,
                    phase=0,
                    operation=process.operation,
                    answer=answer,
                    invoked=process.clock,
                    completed=completed,
                )
            )

    def _operation(self, data: Any) -> Operation:
        if not isinstance(data, dict):
            self._refuse("an invoke needs an operation, an object with a kind")
        try:
            return operation_from_dict(data)
        except ValueError as error:
            self._refuse(str(error))

    def _answer(self, kind: str, data: Any) -> Answer:
        valid = _OUTCOMES[kind]
        if data is None:
            data = {}
        if not isinstance(data, dict):
            self._refuse("the answer must be an object")
        if kind != "fail":
            data = {"outcome": valid[0].value, **data}
        try:
            answer: Answer = from_plain(Answer, data, "the answer")
        except ValueError as error:
            self._refuse(str(error))
        if answer.outcome not in valid:
            self._refuse(
                f"an operation that ended in {kind!r} cannot have come to {answer.outcome.value!r}; "
                f"valid: {', '.join(valid)}"
            )
        return answer

    def _check_clock(self, name: str, process: _Process | None, time: int) -> None:
        if process is not None and time < process.clock:
            self._refuse(
                f"the clock of process {name} goes back, "
                f"from {process.clock} in line {process.line} to {time}"
            )

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(f"{self._path}, line {self._number}: {what}.")
