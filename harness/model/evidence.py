"""Evidence: what a run leaves. The laws look at nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.model.answers import Answer, Outcome
from harness.model.operations import Reserve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.faults import Afterwards
    from harness.model.operations import Operation
    from harness.model.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of the history, with what the client saw."""

    index: int
    client: str
    phase: int
    operation: Operation
    answer: Answer
    invoked: int
    """When the decisive byte left, in nanoseconds of a monotonic clock."""
    completed: int | None
    """When the answer was there; ``None`` when none ever came, so that it may yet take effect."""

    @property
    def outcome(self) -> Outcome:
        """What the client saw."""
        return self.answer.outcome

    @property
    def may_have_happened(self) -> bool:
        """It was accepted, or its outcome is unknown."""
        return self.answer.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)

    def overlaps(self, other: Call) -> bool:
        """Say whether the two were under way at the same time."""
        mine_ended_first = self.completed is not None and self.completed <= other.invoked
        theirs_ended_first = other.completed is not None and other.completed <= self.invoked
        return not (mine_ended_first or theirs_ended_first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What the target's own numbers say about one ticket type. ``None``: it keeps no such number."""

    ticket: str
    initial: int
    """What there is to sell in all, as the target shows it: what there was when the sale opened, unless the
    capacity was changed."""
    remaining: int | None = None
    sold: int | None = None
    """The target's own count of what it sold; the rows are in :attr:`Books.entries`."""
    held: int = 0
    """Set aside for buyers who have not confirmed. Neither sold nor remaining."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the target's: a standing reservation (cancelled ones are none), a hold, a place in a line,
    a payment back."""

    ticket: str
    person: str
    quantity: int = 1
    reservation: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One committed transaction, so that a person finds it in the database and in its log."""

    xid: int
    """Its number, as ``pg_current_xact_id()`` tells it, without the epoch."""
    at: int
    """When it was committed: microseconds since 1970, by the server's clock."""
    rows: tuple[str, ...] = ()
    """What it changed, one line for each row: ``public.tickets general: remaining 1 -> 0``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One committed state of the target: its numbers and its rows, read in one snapshot."""

    stock: tuple[Stock, ...]
    entries: tuple[Entry, ...] | None = None
    """``None`` when the target's rows cannot be read."""
    holds: tuple[Entry, ...] | None = None
    """What is set aside for whom, and neither confirmed nor given back; ``None`` when it cannot be read."""
    waiting: tuple[Entry, ...] | None = None
    """Who waits in line, the first first; ``None`` when there is no line or it cannot be read."""
    refunds: tuple[Entry, ...] | None = None
    """What was paid back to whom, once for every payment; ``None`` when it cannot be read."""
    commit: Commit | None = None
    """Which commit made this state, where every one is read from the log."""

    def of(self, ticket: str) -> tuple[Entry, ...]:
        """Return the standing reservations of one ticket type."""
        return tuple(entry for entry in self.entries or () if entry.ticket == ticket)

    def sold(self, stock: Stock) -> int | None:
        """Return how many units were sold: counted in the rows where they can be read, else as told."""
        if self.entries is None:
            return stock.sold
        return sum(entry.quantity for entry in self.of(stock.ticket))


class IncidentKind(StrEnum):
    """Trouble between sessions that an engine saw in Postgres."""

    DEADLOCK = "deadlock"
    """Error 40P01: Postgres ended a statement to break a cycle of waits."""
    SERIALIZATION = "serialization"
    """Error 40001: a transaction could not be placed in any order, and has to be run again. Seen only by
    engines that see the statements."""
    STUCK = "stuck"
    """No answer came, and none was to be expected: whoever had the lock that was waited for did nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One of them, and whom it hit."""

    kind: IncidentKind
    client: str | None
    """``None``: somebody of the run. Who is only known to an engine that sees the statements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything one run of a scenario left behind."""

    scenario: Scenario
    history: tuple[Call, ...]
    """In the order of invocation."""
    books: Books
    """The state at the end, once everything was quiet."""
    states: tuple[Books, ...] = ()
    """Committed states seen while the run was under way, in the order they were seen."""
    incidents: tuple[Incident, ...] | None = None
    """Trouble between sessions, in order; ``None`` when the engine does not watch for it."""
    afterwards: Afterwards | None = None
    """What was seen of the target once it had got over a fault; ``None`` when nothing was broken."""

    def every_state(self) -> Iterable[Books]:
        """Yield the states seen on the way, then the final one."""
        yield from self.states
        yield self.books

    def reserves(self, *outcomes: Outcome) -> Iterable[tuple[Call, Reserve]]:
        """Yield the reserve operations that ended in one of these outcomes (any, when none is named)."""
        for call in self.history:
            if isinstance(call.operation, Reserve) and (not outcomes or call.outcome in outcomes):
                yield call, call.operation
