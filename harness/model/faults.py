"""Faults as data: what broke at which step of which request, what that came to, and the table of it all."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model.evidence import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault at one step of one request: a cell of the table, and what a replay needs."""

    phase: int
    client: str
    operation: int
    """Which of the client's operations in that phase, counted from 0."""
    attempt: int = 0
    """0 for the request itself, then its repeats: the second click, the retry."""
    step: int
    """Which step of the request, counted from 1."""
    statement: str
    """The statement of that step, cut to a line."""
    shape: str
    """The same without constants, by which it is known again."""
    commits: bool = False
    """The step is the commit of a statement that stands in no transaction of its own."""
    fault: str
    """The name of the fault."""


class Mark(StrEnum):
    """What one cell of the table came to."""

    HELD = "held"
    """The fault fired, and every law held."""
    VIOLATED = "violated"
    NOT_FIRED = "did not fire"
    """The step did not come again. No pass: nothing was broken."""
    NOT_JUDGED = "not judged"
    """It cannot be done to this target, or what came of it says nothing; the table says why."""
    UNEXPLORED = "unexplored"
    """The time was up before its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One step of the clean run, and what every fault at it came to."""

    phase: int
    client: str
    operation: str
    """The kind of the operation that the request is."""
    number: int
    """Which of the client's operations in that phase, counted from 0."""
    step: int
    statement: str
    commits: bool = False
    short: str = ""
    """What the step is about, in a few words: ``the commit of INSERT INTO rsvps``."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """By fault. One that there is not at such a step is not named: a statement that only reads violates no
    key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultFinding:
    """A law that a fault broke, in one sentence."""

    law: str
    fault: str
    """Its name; two joined by `` + `` where it took a pair."""
    message: str
    cells: int = 1
    """How many runs showed the same."""
    replay: str | None = None
    """The id that ``oversell replay`` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTable:
    """Steps down, faults across: everything that was broken in one scenario, and what that came to."""

    faults: tuple[str, ...]
    """The columns."""
    rows: tuple[FaultRow, ...]
    findings: tuple[FaultFinding, ...] = ()
    pairs: int = 0
    """Pairs of faults that fired."""
    pairs_unexplored: int = 0
    """Pairs there would have been beyond the budget."""
    made_good: float | None = None
    """Seconds after which something broken was made good by itself, at the most; ``None``: nothing was."""
    reasons: tuple[str, ...] = ()
    """Why cells are not judged, each reason once."""

    def count(self, mark: Mark) -> int:
        """Return how many cells came to this."""
        return sum(each is mark for row in self.rows for each in row.marks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """What was seen of a target once it had had time to get over a fault."""

    probes: tuple[Call, ...] = ()
    """Requests made to see whether it answers, in order."""
    unanswered: tuple[str, ...] = ()
    """Whom it never answered although nothing of theirs was broken."""
    left_open: tuple[str, ...] = ()
    """Sessions that are still in a transaction or wait for somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosFigures:
    """What was broken at random under load."""

    rate: float
    """The share of steps at which something was to break."""
    steps: int
    """Statements and commits that came."""
    shares: Mapping[str, float]
    """The share of each fault, as the seed drew it, where all can be fired alike."""
    fired: Mapping[str, int]
    """How many of each were fired."""
    reasons: tuple[str, ...] = ()
    """Why faults are missing that could be fired at other targets."""

    @property
    def total(self) -> int:
        """How many were fired in all."""
        return sum(self.fired.values())
