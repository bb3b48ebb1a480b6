"""A history laid out for the eye: a lane per client, a bar per call, so that overlap is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reporting.text import cut
from harness.reporting.words import operation_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Call, Evidence

_NANOSECONDS = 1_000_000
_NARROWEST = 0.6
_LONGEST_ANSWER = 300
MOST_LANES = 40
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Bar:
    """One call on its lane; positions in percent of the width."""

    left: float
    width: float
    outcome: str
    open_ended: bool
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One client's calls."""

    client: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One call in the table."""

    at_ms: float
    took_ms: float | None
    client: str
    phase: str
    operation: str
    outcome: str
    told: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What the books say of one ticket type at the end."""

    ticket: str
    initial: int
    sold: int | None
    remaining: int | None
    held: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the page shows of one run."""

    total_ms: float
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    more_lanes: int
    more_rows: int
    outcomes: tuple[tuple[str, int], ...]
    holdings: tuple[Holding, ...]
    states: int
    """Committed states seen on the way."""


def lay_out(evidence: Evidence) -> Timeline:
    """Return the history of one run, laid out. Calls stand in the order they were invoked."""
    calls = sorted(evidence.history, key=lambda call: call.invoked)
    start = min((call.invoked for call in calls), default=0)
    end = max((call.completed or call.invoked for call in calls), default=start)
    lanes = tuple(_lanes(calls, start, end))
    return Timeline(
        total_ms=(end - start) / _NANOSECONDS,
        lanes=lanes[:MOST_LANES],
        rows=tuple(_row(call, evidence, start) for call in calls[:MOST_ROWS]),
        more_lanes=max(0, len(lanes) - MOST_LANES),
        more_rows=max(0, len(calls) - MOST_ROWS),
        outcomes=tuple(Counter(call.outcome.value for call in calls).most_common()),
        holdings=tuple(_holdings(evidence)),
        states=len(evidence.states),
    )


def _lanes(calls: list[Call], start: int, end: int) -> Iterable[Lane]:
    for client in dict.fromkeys(call.client for call in calls):
        mine = (call for call in calls if call.client == client)
        yield Lane(client, tuple(_bar(call, start, end) for call in mine))


def _bar(call: Call, start: int, end: int) -> Bar:
    whole = max(end - start, 1)
    # The narrowest bar that can be seen; it must not stick out on the right.
    left = min((call.invoked - start) / whole * 100, 100 - _NARROWEST)
    stop = end if call.completed is None else call.completed
    width = min(max((stop - call.invoked) / whole * 100, _NARROWEST), 100 - left)
    label = f"{operation_words(call.operation)}: {call.outcome}"
    return Bar(round(left, 3), round(width, 3), call.outcome.value, call.completed is None, label)


def _row(call: Call, evidence: Evidence, start: int) -> Row:
    phases = evidence.scenario.phases
    took = None if call.completed is None else (call.completed - call.invoked) / _NANOSECONDS
    remaining = None if call.answer.remaining is None else f"{call.answer.remaining} remain"
    return Row(
        at_ms=(call.invoked - start) / _NANOSECONDS,
        took_ms=took,
        client=call.client,
        phase=phases[call.phase].title if 0 <= call.phase < len(phases) else str(call.phase),
        operation=operation_words(call.operation),
        outcome=call.outcome.value,
        told=", ".join(filter(None, (cut(call.answer.detail, _LONGEST_ANSWER), remaining))),
    )


def _holdings(evidence: Evidence) -> Iterable[Holding]:
    for stock in evidence.books.stock:
        sold = evidence.books.sold(stock)
        yield Holding(stock.ticket, stock.initial, sold, stock.remaining, stock.held)
