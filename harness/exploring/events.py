"""Events of one run: what each step of a schedule did, as far as Postgres let us see it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_CONSTANTS = re.compile(r"'(?:[^']|'')*'|\b\d+\b")
_SAVEPOINT = re.compile(r"\b(savepoint|release|rollback to) (?!savepoint\b)[^\s;]+", re.IGNORECASE)
"""Drivers number their savepoints through, each in its own way."""


def without_constants(sql: str) -> str:
    """Return a statement with its constants blotted out, so that two runs of it look alike."""
    return _SAVEPOINT.sub(r"\1 ?", _CONSTANTS.sub("?", " ".join(sql.split())))


class StepKind(StrEnum):
    """What a step lets happen."""

    START = "start"
    """A request is sent, and gets as far as its first statement."""
    EXECUTE = "execute"
    """A statement runs."""
    RESUME = "resume"
    """A statement that had waited for a lock goes on by itself; no choice of ours."""
    COMMIT = "commit"
    ROLLBACK = "rollback"
    WHOLE = "whole"
    """Statements and their commit together, where they could not be held apart."""


class Transaction(NamedTuple):
    """A transaction: the n-th of a client, counted from 0."""

    client: str
    number: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a transaction has touched so far, read from its locks while it was open.

    It only grows while the transaction goes on, so for a single statement it is an over-estimate, which is
    safe: it can make two steps look dependent that are not, never the other way round.
    """

    relations: frozenset[str] = frozenset()
    """Tables that were read, locked or written."""
    written: frozenset[str] = frozenset()
    """Tables that were written."""
    advisory: frozenset[str] = frozenset()
    """Advisory locks that were held before or after the step."""
    everything: bool = False
    """Nothing could be seen, so it may have touched anything."""
    locked: frozenset[str] = frozenset()
    """Tables whose rows were locked: the written ones, and those of SELECT … FOR UPDATE and the like."""


NOTHING = Footprint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step of a run."""

    client: str
    kind: StepKind
    label: str
    """The statement, as sent, cut to a line. Part of what a replay compares."""
    transaction: Transaction
    footprint: Footprint = NOTHING
    failed: bool = False
    """The statement raised an error; what it had written is undone."""
    waited_for: frozenset[Transaction] = frozenset()
    """Transactions that stood in its way when it began, as Postgres told."""
    lock_sensitive: bool = False
    """It looks at locks without waiting (SKIP LOCKED, NOWAIT, try-locks, lock time-outs)."""
    decision: int = 0
    """Which choice of the schedule let it happen."""

    @property
    def shape(self) -> str:
        """The kind and the statement without its constants, which may differ from run to run."""
        return f"{self.kind}: {without_constants(self.label)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One run: its events in order, and who could have gone at each choice."""

    events: tuple[Event, ...]
    enabled: tuple[frozenset[str], ...]
    """By choice: the clients that had a step waiting to be let through."""
    chosen: tuple[str, ...]
    """By choice: the client that was let go."""
    fresh: tuple[frozenset[str], ...]
    """By choice: the clients that had not done a step yet."""
    complete: bool
    """Whether it was recorded to its end; otherwise what followed had been run before, in another order."""

    @property
    def preemptions(self) -> int:
        """How often a client was left although it could have gone on."""
        return sum(self.preempts(depth) for depth in range(1, len(self.chosen)))

    def preempts(self, depth: int) -> bool:
        """Say whether a choice left the client of the choice before although it could have gone on."""
        before = self.chosen[depth - 1] if depth else None
        return before is not None and before != self.chosen[depth] and before in self.enabled[depth]
