"""Which steps of different clients must not be swapped: conflicts in the shape MVCC gives them.

Under READ COMMITTED a statement sees what was committed when it began, so a step that touches a table
depends on the *commits* that write that table, not on what others have written and not yet committed.
Writers meet at row locks and unique keys, and that is an observed wait. Two commits commute unless somebody
reads between them. REPEATABLE READ moves the moment of reading to the transaction's first statement, and
SERIALIZABLE makes reads and writes of concurrent transactions depend on each other.

Everything here errs on one side: what is not known counts as a conflict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from harness.exploring.events import StepKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.exploring.events import Event, Footprint

_CALLS = re.compile(r"(\w+)\"?\s*\(")
"""Names that are called in a statement."""


_TELLS = re.compile(r"\b(?:pg_)?notify\b", re.IGNORECASE)
"""What sends a notice with the commit. It locks nothing and touches no table; what is heard is the order."""


class Isolation(IntEnum):
    """Isolation levels, from the weakest to the strongest."""

    READ_COMMITTED = 0
    REPEATABLE_READ = 1
    SERIALIZABLE = 2


def isolation_of(words: str) -> Isolation:
    """Return the level that Postgres writes like that. READ UNCOMMITTED is the same as READ COMMITTED."""
    level = words.replace(" ", "_").upper()
    return Isolation.READ_COMMITTED if level == "READ_UNCOMMITTED" else Isolation[level]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicts:
    """The dependence relation of one target."""

    isolation: Isolation = Isolation.READ_COMMITTED
    """The strongest level any of its transactions uses."""
    commits_read: bool = False
    """Constraints that can be deferred exist: a commit may run queries, on tables that nobody saw."""
    decided_at_commit: frozenset[str] = frozenset()
    """Tables with deferred triggers of the target's own: a commit that has written one looks and publishes in
    one step, which cannot be held apart, while two real commits may both look before either publishes."""
    functions: frozenset[str] = frozenset()
    """Functions of several queries, each of which sees what was committed when it began."""
    triggered: frozenset[str] = frozenset()
    """Tables whose triggers run queries of their own."""
    looks_at_locks: bool = False
    """Functions exist that look at locks without waiting: SKIP LOCKED, NOWAIT, try-locks, time-outs."""
    outside: bool = False
    """A request was seen waiting for another outside Postgres, where nothing can be observed."""

    def dependent(self, a: Event, b: Event) -> bool:
        """Say whether the order of two steps may matter."""
        if a.client == b.client or self.outside:
            return True
        if StepKind.START in (a.kind, b.kind):
            return False
        if a.transaction in b.waited_for or b.transaction in a.waited_for:
            return True
        if a.footprint.advisory & b.footprint.advisory:
            return True
        if _is_told_beside(a, b) or _is_told_beside(b, a):
            return True
        if self.looks_at_locks or a.lock_sensitive or b.lock_sensitive:
            return bool(a.footprint.advisory or b.footprint.advisory) or _clash(a.footprint, b.footprint)
        if self.commits_read and StepKind.COMMIT in (a.kind, b.kind):
            return True
        if self.isolation is Isolation.SERIALIZABLE and (
            _reads_write(a.footprint, b.footprint) or _reads_write(b.footprint, a.footprint)
        ):
            return True
        return self._reads_commit(a, b) or self._reads_commit(b, a)

    def hides_a_look(self, event: Event) -> bool:
        """Say whether a step looked at something and published in one."""
        if event.kind not in (StepKind.COMMIT, StepKind.WHOLE) or not self.decided_at_commit:
            return False
        return event.footprint.everything or bool(event.footprint.written & self.decided_at_commit)

    def hides_a_commit(self, events: Sequence[Event]) -> bool:
        """Say whether something could have been committed between the queries of one step of this run.

        A function runs as a whole here. Under READ COMMITTED each of its queries takes a snapshot of its own,
        so what another transaction has written by then may appear half-way through, unless the function
        would have waited for that transaction.
        """
        if self.isolation is not Isolation.READ_COMMITTED or not (self.functions or self.triggered):
            return False
        return any(
            self._looks_several_times(event) and self._meets_pending(events, place)
            for place, event in enumerate(events)
        )

    def _looks_several_times(self, event: Event) -> bool:
        if event.kind not in (StepKind.EXECUTE, StepKind.RESUME, StepKind.WHOLE):
            return False
        called = {word.lower() for word in _CALLS.findall(event.label)}
        return bool(called & self.functions or event.footprint.written & self.triggered)

    def _meets_pending(self, events: Sequence[Event], place: int) -> bool:
        event = events[place]
        latest = {other.client: other for other in events[:place] if other.client != event.client}
        ends = {other.transaction for other in events[place + 1 :] if other.kind is StepKind.COMMIT}
        awaited = set(event.waited_for)
        for _ in latest:  # Whoever is waited for may wait in turn.
            awaited.update(*(other.waited_for for other in latest.values() if other.transaction in awaited))
        return any(
            other.transaction in ends
            and other.kind in (StepKind.EXECUTE, StepKind.RESUME)
            and not other.waited_for
            and other.transaction not in awaited
            and _reads_write(event.footprint, other.footprint)
            for other in latest.values()
        )

    def may_wait(self, a: Event, b: Event) -> bool:
        """Say whether one step might have waited for the other, had they come in another order.

        A wait that happened is observed. Of a step that was never tried in this place nobody knows.
        """
        unseen = a.footprint.everything or b.footprint.everything
        return unseen or bool(a.footprint.locked & b.footprint.locked)

    def _reads_commit(self, reader: Event, end: Event) -> bool:
        """Say whether one step looks at what the other's end of transaction publishes or lets go of."""
        ends = end.failed or end.kind in (StepKind.COMMIT, StepKind.ROLLBACK, StepKind.WHOLE)
        blind = reader.kind is StepKind.ROLLBACK or (reader.kind is StepKind.COMMIT and not reader.failed)
        if blind or not ends:
            return False
        mine, theirs = reader.footprint, end.footprint
        held_up = bool(theirs.locked or theirs.advisory) if mine.everything else mine.locked & theirs.locked
        return bool(held_up) or _reads_write(mine, theirs)


def _is_told_beside(teller: Event, other: Event) -> bool:
    """Say whether one step sends a notice, and the other one too, or publishes what notices may be about."""
    if _TELLS.search(teller.label) is None:
        return False
    return other.kind in (StepKind.COMMIT, StepKind.WHOLE) or _TELLS.search(other.label) is not None


def _reads_write(reader: Footprint, writer: Footprint) -> bool:
    """Say whether one touches a table that the other wrote."""
    if writer.everything:
        return True
    if reader.everything:
        return bool(writer.written)
    return bool(reader.relations & writer.written)


def _clash(a: Footprint, b: Footprint) -> bool:
    """Say whether both touch a table, whatever they do there."""
    if a.everything or b.everything:
        return True
    return bool(a.relations & b.relations)
