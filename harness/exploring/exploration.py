"""An exploration: one phase of a scenario, every inequivalent schedule of it, as far as the budget goes.

That nothing is left to run rests on knowing which steps can matter to each other, and an application may
share what no database shows: a counter in its memory, a file, another server. So before a space is called
exhausted the knowledge is put to the test: some schedules are drawn at random, and every one of them must end
as one of those did that were run by rule. If one does not, everything is taken for dependent from then on.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from harness.errors import InconclusiveError
from harness.exploring.conductor import DivergedError
from harness.exploring.orders import orders
from harness.exploring.pct import draw
from harness.exploring.search import Search, is_repetition
from harness.model import Cancel, ReserveGroup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from harness.exploring.conflicts import Conflicts
    from harness.exploring.events import Event, Trace
    from harness.exploring.search import Sleep, Task
    from harness.exploring.stage import Chooser, Performance, Stage
    from harness.model import Operation, Phase, Scenario


Ending: TypeAlias = "tuple[object, ...]"

_PROBES = 20
"""Schedules drawn at random before a space is called exhausted."""
_DEPTH = 4
"""How many changes of priority such a schedule has, and one more; see :mod:`harness.exploring.pct`."""
_MOODS = "the target does not do the same when it is run again"
ATTEMPTS = 12
"""How often one schedule is tried before it is given up."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What may still be spent, over all explorations of one scenario."""

    schedules: int
    until: float
    """A moment of the monotonic clock, in seconds."""

    @property
    def spent(self) -> str | None:
        """Say what was used up, or ``None`` while something is left of everything."""
        if self.schedules <= 0:
            return "the budget of schedules was used up"
        if time.monotonic() >= self.until:
            return "the time for exploring was used up"
        return None


@dataclass(slots=True)
class Follower:
    """Chooses as a task of the search says, then as the search would."""

    search: Search
    task: Task
    sleep: Sleep = field(default_factory=dict)
    _made: int = 0
    _last: str | None = None

    def __call__(self, able: frozenset[str], fresh: frozenset[str], steps: Sequence[Event]) -> str | None:
        """Return who goes next; see :meth:`harness.exploring.conductor.Conductor.run`."""
        prefix = self.task.choices
        if self._made == len(prefix):
            self.sleep = self.task.sleep
        if self._made >= len(prefix):
            if is_repetition(self.sleep, steps):
                return None
            for step in steps:
                self.sleep = self.search.awake(self.sleep, step)
            self._last = self.search.choose(able, fresh, self.sleep, self._last)
        else:
            self._last = prefix[self._made]
        self._made += 1
        return self._last


@dataclass(slots=True)
class Exploration:
    """See the module."""

    stage: Stage
    scenario: Scenario
    phase: int
    conflicts: Conflicts
    preemptions: int | None = None
    earlier: Callable[[], Mapping[int, Chooser]] = dict
    """Makes the schedules of other phases, for each run anew; those without one run one after another."""
    schedules: int = 0
    """Schedules run to their end; those that turned out to repeat another are not counted."""
    redundant: int = 0
    orders: int = 0
    """Orders of steps that those stand for."""
    opaque: bool = False
    """Something could not be held apart, or happened where it cannot be seen."""
    finished: bool = False
    """Nothing is left to run."""
    cut: bool = False
    """Schedules were left out because of the bound on preemptions."""
    difference: str = ""
    """The first step that was not as it had been in the same place before."""
    differences: int = 0
    """In how many runs there was such a step."""
    _endings: set[Ending] = field(default_factory=set)
    """How the schedules that were run by rule ended."""
    _probes: int = 0
    _longest: int = 1

    @property
    def moods(self) -> str | None:
        """Say that the target does now this and now that, with the first difference; ``None`` if it does not.

        Once may be an accident of a busy machine: a statement that came late and was taken for another's.
        """
        return f"{_MOODS}: {self.difference}" if self.differences > 1 else None

    @property
    def exhausted(self) -> bool:
        """Whether every inequivalent schedule was run, and none was opaque."""
        return self.finished and not self.cut and not self.opaque

    async def performances(self, budget: Budget) -> AsyncIterator[Performance]:
        """Run schedules until none is left or the budget is spent, and yield each.

        :raises InconclusiveError: when the target does something else when it is run again.
        """
        search = self._search()
        while not budget.spent:
            task = search.next()
            if task is None:
                if self.opaque or search.cut or self._probes == _PROBES:
                    self.finished, self.cut = True, search.cut
                    return
                probe = await self._probe(budget)
                yield probe
                if probe.stuck:
                    return
                if ending(probe) not in self._endings:
                    self._restart(replace(self.conflicts, outside=True))
                    self.opaque = True
                    search = self._search()
                continue
            performance = await self._perform(search, task, budget)
            if performance is None:
                self.opaque = True
                continue
            more = self._what_it_showed(performance)
            if more == self.conflicts and not performance.stuck:
                search.add(task, performance.trace)
                self._endings.add(ending(performance))
                self._count(performance.trace)
            yield performance
            if performance.stuck:
                return
            if more != self.conflicts:
                # Something that cannot be seen orders requests, and nothing makes that visible again.
                self.opaque = self.opaque or more.outside
                self._restart(more)
                search = self._search()

    def _what_it_showed(self, performance: Performance) -> Conflicts:
        """Return the dependence relation with what a run has shown about it."""
        return replace(
            self.conflicts,
            outside=self.conflicts.outside or performance.outside,
            isolation=max(self.conflicts.isolation, performance.isolation),
        )

    async def _probe(self, budget: Budget) -> Performance:
        """Run a schedule drawn at random."""
        budget.schedules -= 1
        clients = [program.client for program in self.scenario.phases[self.phase].programs]
        luck = random.Random(f"{self.scenario.name}/{self.phase}/{self._probes}")  # noqa: S311  # repeatable
        self._probes += 1
        chooser = draw(luck, clients, _DEPTH, self._longest)
        return await self._run(chooser)

    async def _run(self, chooser: Chooser) -> Performance:
        return await self.stage.perform(
            self.scenario, self.phase, chooser, self.conflicts.isolation, self.earlier()
        )

    async def _perform(self, search: Search, task: Task, budget: Budget) -> Performance | None:
        """Run a task until it runs as it did before, a few times at most; ``None`` when it never does.

        Postgres may let clients overtake each other in a line, and on a busy machine a request may take so
        long that it seems to wait. What happens every time is no accident.

        :raises InconclusiveError: when the target sends other statements every time.
        """
        difference = ""
        for attempt in range(ATTEMPTS):
            budget.schedules -= 1
            try:
                performance = await self._run(Follower(search, task))
            except DivergedError:
                continue
            if performance.overtaken:
                continue
            if performance.outside and not self.conflicts.outside and attempt == 0:
                continue
            difference = "" if self.conflicts.outside else search.difference(task, performance.trace)
            # Who does something else now and then may do it anywhere, also where it was not seen.
            self.opaque = self.opaque or bool(difference)
            self.difference = self.difference or difference
            self.differences += bool(difference)
            if not difference:
                events = performance.trace.events
                hidden = any(map(self.conflicts.hides_a_look, events)) or self.conflicts.hides_a_commit(
                    events
                )
                self.opaque = self.opaque or performance.opaque or hidden
                return performance
        if difference:
            raise InconclusiveError(f"{_MOODS}: {difference}")
        return None

    def _restart(self, conflicts: Conflicts) -> None:
        """Begin again with what is known now about which steps depend on each other."""
        self.conflicts = conflicts
        self.schedules = self.redundant = self.orders = 0

    def _search(self) -> Search:
        phase = self.scenario.phases[self.phase]
        return Search(
            self.conflicts,
            clients=[program.client for program in phase.programs],
            alike=alike(self.scenario, phase),
            preemptions=self.preemptions,
        )

    def _count(self, trace: Trace) -> None:
        self._longest = max(self._longest, len(trace.chosen))
        if trace.complete:
            self.schedules += 1
            self.orders += orders(trace.events, self.conflicts)
        else:
            self.redundant += 1


def ending(performance: Performance) -> Ending:
    """Return how a run ended: what each client was told, and what stands in the books.

    Interchangeable clients are not told apart, and neither are ids.
    """
    evidence = performance.evidence
    kinds = {
        client: place
        for place, group in enumerate(alike(evidence.scenario, evidence.scenario.phases[performance.phase]))
        for client in group
    }
    told = Counter(
        (call.phase, kinds.get(call.client, -1), type(call.operation).__name__, call.outcome)
        for call in evidence.history
    )
    booked = Counter((entry.ticket, entry.quantity) for entry in evidence.books.entries or ())
    stock = frozenset((each.ticket, each.remaining, each.sold, each.held) for each in evidence.books.stock)
    return (frozenset(told.items()), frozenset(booked.items()), stock)


def alike(scenario: Scenario, phase: Phase) -> list[list[str]]:
    """Group the clients of a phase that are interchangeable: the same program, but for who the person is.

    Persons whom other programs name too are taken for the individuals they are.
    """
    named: Counter[str] = Counter()
    for program in scenario.programs():
        named.update({person for operation in program.operations for person in _people(operation)})
    groups: dict[object, list[str]] = {}
    for program in phase.programs:
        key = tuple(
            replace(operation, person="" if named[operation.person] == 1 else operation.person)
            for operation in program.operations
        )
        groups.setdefault(key, []).append(program.client)
    return list(groups.values())


def _people(operation: Operation) -> Iterator[str]:
    """Yield everybody whom an operation is about."""
    yield operation.person
    if isinstance(operation, ReserveGroup):
        yield from operation.members
    if isinstance(operation, Cancel) and operation.whose is not None:
        yield operation.whose
