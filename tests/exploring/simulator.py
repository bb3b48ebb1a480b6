"""A tiny Postgres in memory: what two or three transactions do to each other under READ COMMITTED.

Rows with one exclusive lock each, queues of waiters, unique keys, advisory locks, functions that take a new
snapshot for each of their queries, and a deadlock detector that ends whoever closes the cycle. A run gives
the same :class:`Trace` that the conductor would record, with footprints as coarse as real ones, so that the
search can be held against every schedule there is, thousands of times a second.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.exploring.conflicts import Conflicts
from harness.exploring.events import NOTHING, Event, Footprint, StepKind, Trace, Transaction
from harness.exploring.exploration import Follower
from harness.exploring.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ADVISORY = "advisory"
EVERYTHING = Footprint(everything=True)


class Op(StrEnum):
    """What one query does to one row."""

    READ = "read"
    CHECK = "check"
    """Read, and end the transaction with a rollback unless something is left."""
    WRITE = "write"
    """Write down who writes over what, having read what."""
    TAKE = "take"
    """Decrement if something is left."""
    LOCK = "lock"
    """Read and lock, as SELECT … FOR UPDATE does."""
    INSERT = "insert"
    """Insert under a unique key."""
    ADVISE = "advise"
    """Take an advisory lock until the transaction ends."""


class Query(NamedTuple):
    """One query on one row."""

    op: Op
    table: str
    key: int

    @property
    def row(self) -> tuple[str, int]:
        return (ADVISORY if self.op is Op.ADVISE else self.table, self.key)


Statement = tuple[Query, ...]
"""One query, or several in a function: then each sees what was committed when it began."""


class Work(NamedTuple):
    """One transaction."""

    statements: tuple[Statement, ...]
    commits: bool = True


Program = tuple[Work, ...]


@dataclass
class Buyer:
    """Where one client is."""

    program: Program
    fresh: bool = True
    work: int = 0
    statement: int = 0
    query: int = 0
    open: bool = False
    ended: bool = False
    """Its transaction can only be rolled back: it failed, or gave up."""
    failed: bool = False
    waits: Query | None = None
    number: int = 0
    footprint: Footprint = NOTHING
    private: dict[tuple[str, int], Any] = field(default_factory=dict)
    held: set[tuple[str, int]] = field(default_factory=set)
    seen: tuple[Any, ...] = ()
    """Everything it was told."""

    @property
    def done(self) -> bool:
        return self.work == len(self.program)

    @property
    def able(self) -> bool:
        return self.fresh or (not self.done and self.waits is None)


class World:
    """The database and its clients at one moment."""

    def __init__(self, programs: dict[str, Program]) -> None:
        self.buyers = {name: Buyer(program) for name, program in programs.items()}
        self.rows: dict[tuple[str, int], Any] = {}
        self.holder: dict[tuple[str, int], str] = {}
        self.queue: dict[tuple[str, int], list[str]] = {}
        self.deadlocks: tuple[str, ...] = ()
        self.events: list[Event] = []
        self.decision = -1

    @property
    def able(self) -> frozenset[str]:
        return frozenset(name for name, buyer in self.buyers.items() if buyer.able)

    @property
    def fresh(self) -> frozenset[str]:
        return frozenset(name for name, buyer in self.buyers.items() if buyer.fresh)

    def final(self) -> tuple[Any, ...]:
        """What anybody could know at the end."""
        told = tuple((name, buyer.seen) for name, buyer in sorted(self.buyers.items()))
        stuck = tuple(name for name, buyer in sorted(self.buyers.items()) if not buyer.done)
        return (tuple(sorted(self.rows.items())), told, stuck, tuple(sorted(self.deadlocks)))

    def here(self) -> Any:
        """Everything that what follows depends on."""
        buyers = tuple(
            (n, b.fresh, b.work, b.statement, b.query, b.open, b.ended, b.failed, b.waits, b.seen,
             tuple(sorted(b.private.items())), tuple(sorted(b.held)))
            for n, b in sorted(self.buyers.items())
        )  # fmt: skip
        queues = tuple((row, tuple(names)) for row, names in sorted(self.queue.items()) if names)
        return (buyers, tuple(sorted(self.rows.items())), queues, tuple(sorted(self.deadlocks)))

    def go(self, name: str) -> None:
        """Let one client take its next step, and everybody whom it frees."""
        self.decision += 1
        buyer = self.buyers[name]
        if buyer.fresh:
            buyer.fresh = False
            self._record(name, StepKind.START)
        elif buyer.ended or buyer.statement == len(buyer.program[buyer.work].statements):
            self._end(name, buyer)
        else:
            self._begin(name, buyer)
        self._resume()

    # Steps.

    def _end(self, name: str, buyer: Buyer) -> None:
        commits = buyer.program[buyer.work].commits and not buyer.ended
        if commits:
            self.rows.update(buyer.private)
        self._record(name, StepKind.COMMIT if commits else StepKind.ROLLBACK, buyer.footprint)
        self._release(buyer)
        buyer.work, buyer.statement, buyer.query = buyer.work + 1, 0, 0
        buyer.open = buyer.ended = buyer.failed = False

    def _begin(self, name: str, buyer: Buyer) -> None:
        if not buyer.open:
            buyer.open, buyer.footprint = True, NOTHING
            buyer.number += 1
        before = buyer.footprint
        buyer.query = 0
        self._record(name, StepKind.EXECUTE, before)
        self._run(name, buyer, place=len(self.events) - 1, before=before)

    def _run(self, name: str, buyer: Buyer, place: int, before: Footprint) -> None:
        """Go on with the statement under way until it is over, fails, or waits."""
        statement = buyer.program[buyer.work].statements[buyer.statement]
        while buyer.query < len(statement):
            query = statement[buyer.query]
            buyer.footprint = _grown(buyer.footprint, query)
            if not self._obtain(name, buyer, query):
                break
            self._apply(name, buyer, query)
            if buyer.failed:
                break
            buyer.query += 1
        resumed = self.events[place].kind is StepKind.RESUME
        blockers: frozenset[Transaction] = frozenset()
        if buyer.failed:
            footprint = EVERYTHING if resumed else replace(before, everything=True)
        else:
            footprint = buyer.footprint
            if buyer.waits is not None:
                blockers = frozenset(
                    self._transaction(other) for other in self._before(name, buyer.waits.row)
                )
        if buyer.waits is None:
            buyer.statement += 1
        self._amend(place, footprint, failed=buyer.failed, waited_for=blockers)

    def _obtain(self, name: str, buyer: Buyer, query: Query) -> bool:
        """Take the row's lock where the query needs one; queue up, or fail, where that cannot be."""
        if query.op in (Op.READ, Op.CHECK):
            return True
        if query.op is Op.INSERT and query.row in self.rows:
            self._fail(buyer, "unique")
            return False
        waiting = self.queue.setdefault(query.row, [])
        holder = self.holder.get(query.row)
        if holder == name or (holder is None and (not waiting or waiting[0] == name)):
            if name in waiting:
                waiting.remove(name)
            self.holder[query.row] = name
            buyer.held.add(query.row)
            buyer.waits = None
            return True
        if name not in waiting:
            waiting.append(name)
        buyer.waits = query
        if self._deadlocked(name):
            waiting.remove(name)
            self.deadlocks += (name,)
            self._fail(buyer, "deadlock")
        return False

    def _apply(self, name: str, buyer: Buyer, query: Query) -> None:
        old = buyer.private.get(query.row, self.rows.get(query.row, 1))
        left = old if isinstance(old, int) else 0
        match query.op:
            case Op.CHECK if left <= 0:
                buyer.ended = True
            case Op.WRITE:
                buyer.private[query.row] = (name, buyer.work, buyer.statement, old, buyer.seen[-1:])
            case Op.TAKE if left > 0:
                buyer.private[query.row] = left - 1
            case Op.INSERT if query.row in buyer.private:
                self._fail(buyer, "unique")
                return
            case Op.INSERT:
                buyer.private[query.row] = (name,)
            case _:
                pass
        if query.op is not Op.ADVISE:
            buyer.seen += ((query.op.value, old),)

    def _fail(self, buyer: Buyer, why: str) -> None:
        buyer.seen += (why,)
        buyer.ended = buyer.failed = True
        buyer.waits = None
        self._release(buyer)

    def _release(self, buyer: Buyer) -> None:
        for row in buyer.held:
            self.holder.pop(row, None)
        buyer.held.clear()
        buyer.private.clear()

    def _resume(self) -> None:
        again = True
        while again:
            again = False
            for name, buyer in self.buyers.items():
                if buyer.waits is None:
                    continue
                row = buyer.waits.row
                free = row not in self.holder and self.queue[row][0] == name
                if not free:
                    continue
                again = True
                if buyer.waits.op is Op.INSERT and row in self.rows:
                    self.queue[row].remove(name)
                self._record(name, StepKind.RESUME, buyer.footprint)
                self._run(name, buyer, len(self.events) - 1, buyer.footprint)

    # Waits.

    def _before(self, name: str, row: tuple[str, int]) -> Iterator[str]:
        if row in self.holder:
            yield self.holder[row]
        yield from itertools.takewhile(lambda other: other != name, self.queue.get(row, []))

    def _deadlocked(self, name: str) -> bool:
        reached: set[str] = set()
        todo = [name]
        while todo:
            current = todo.pop()
            waits = self.buyers[current].waits
            if waits is None:
                continue
            for other in self._before(current, waits.row):
                if other == name:
                    return True
                if other not in reached:
                    reached.add(other)
                    todo.append(other)
        return False

    # Records.

    def _transaction(self, name: str) -> Transaction:
        return Transaction(name, self.buyers[name].number)

    def _record(self, name: str, kind: StepKind, footprint: Footprint = NOTHING) -> None:
        buyer = self.buyers[name]
        self.events.append(
            Event(
                client=name,
                kind=kind,
                label=f"{buyer.work}.{buyer.statement}",
                transaction=self._transaction(name),
                footprint=footprint,
                decision=self.decision,
            )
        )

    def _amend(
        self, place: int, footprint: Footprint, *, failed: bool, waited_for: frozenset[Transaction]
    ) -> None:
        self.events[place] = replace(
            self.events[place], footprint=footprint, failed=failed, waited_for=waited_for
        )


def _grown(footprint: Footprint, query: Query) -> Footprint:
    """What a transaction has touched once this query is under way, by table as pg_locks has it."""
    if query.op is Op.ADVISE:
        return replace(footprint, advisory=footprint.advisory | {str(query.key)})
    writes = query.op in (Op.WRITE, Op.TAKE, Op.INSERT)
    table = frozenset({query.table})
    return replace(
        footprint,
        relations=footprint.relations | table,
        written=footprint.written | (table if writes else frozenset()),
        locked=footprint.locked | (table if writes or query.op is Op.LOCK else frozenset()),
    )


def play(
    programs: dict[str, Program],
    choose: Callable[[frozenset[str], frozenset[str], Sequence[Event]], str | None],
) -> tuple[Trace, World]:
    """Run programs as the conductor would."""
    world = World(programs)
    enabled: list[frozenset[str]] = []
    fresh: list[frozenset[str]] = []
    chosen: list[str] = []
    complete = True
    while world.able:
        last = [event for event in world.events if event.decision == world.decision]
        name = choose(world.able, world.fresh, last)
        if name is None:
            complete = False
            break
        assert name in world.able, f"{name} was to go, {sorted(world.able)} could"
        enabled.append(world.able)
        fresh.append(world.fresh)
        chosen.append(name)
        world.go(name)
    trace = Trace(
        events=tuple(world.events),
        enabled=tuple(enabled),
        chosen=tuple(chosen),
        fresh=tuple(fresh),
        complete=complete,
    )
    while world.able:
        world.go(min(world.able))
    return trace, world


@dataclass
class Explored:
    """What a search found."""

    finals: set[Any] = field(default_factory=set)
    traces: list[Trace] = field(default_factory=list)
    runs: int = 0
    search: Search | None = None


def explore(
    programs: dict[str, Program],
    conflicts: Conflicts,
    *,
    alike: Sequence[Sequence[str]] = (),
    preemptions: int | None = None,
    limit: int = 5000,
) -> Explored:
    """Run every schedule that the search asks for."""
    search = Search(conflicts, clients=list(programs), alike=alike, preemptions=preemptions)
    found = Explored(search=search)
    while (task := search.next()) is not None:
        trace, world = play(programs, Follower(search, task))
        found.runs += 1
        found.finals.add(world.final())
        assert not search.difference(task, trace)
        search.add(task, trace)
        if trace.complete:
            found.traces.append(trace)
        assert found.runs <= limit, "the search does not end"
    return found


def every_final(programs: dict[str, Program]) -> set[Any]:
    """The final states of all schedules, by trying every choice in every state."""
    finals: set[Any] = set()
    known: set[Any] = set()
    todo = [World(programs)]
    while todo:
        world = todo.pop()
        here = world.here()
        if here in known:
            continue
        known.add(here)
        if not world.able:
            finals.add(world.final())
        for name in world.able:
            following = copy.deepcopy(world)
            following.events.clear()
            following.go(name)
            todo.append(following)
    return finals


def count_schedules(programs: dict[str, Program]) -> int:
    """How many sequences of choices there are."""
    known: dict[Any, int] = {}

    def count(world: World) -> int:
        here = world.here()
        if here not in known:
            total = 0
            for name in sorted(world.able):
                following = copy.deepcopy(world)
                following.events.clear()
                following.go(name)
                total += count(following)
            known[here] = total or 1
        return known[here]

    return count(World(programs))


def renamed(final: Any, names: dict[str, str]) -> Any:
    """The same final state with clients exchanged."""
    if isinstance(final, str):
        return names.get(final, final)
    return tuple(renamed(part, names) for part in final) if isinstance(final, tuple) else final


def up_to_renaming(finals: set[Any], group: Sequence[str]) -> set[frozenset[Any]]:
    """Final states as classes: all that a permutation of the group makes of each."""
    permutations = [dict(zip(group, order, strict=True)) for order in itertools.permutations(group)]
    return {frozenset(_sorted_told(renamed(final, names)) for names in permutations) for final in finals}


def _sorted_told(final: Any) -> Any:
    rows, told, stuck, deadlocks = final
    return (rows, tuple(sorted(told)), tuple(sorted(stuck)), tuple(sorted(deadlocks)))
