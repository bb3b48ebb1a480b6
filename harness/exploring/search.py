"""The search over schedules: every inequivalent one once, those with the fewest context switches first.

Theory of operation. A schedule is a sequence of choices: which client is let go next. Two schedules are
equivalent when one becomes the other by swapping neighbouring steps that do not depend on each other
(Mazurkiewicz traces), so it is enough to run one of each kind. After a run, the search looks for *races*:
pairs of dependent steps of different clients with nothing between them that orders them. For each it asks,
at the choice that led to the first, for a client with which the second could come first. This is dynamic
partial-order reduction with source sets and sleep sets: Abdulla, Aronis, Jonsson, Sagonas, "Optimal dynamic
partial order reduction", POPL 2014, Algorithm 1; the races are those of Flanagan and Godefroid, POPL 2005.

Two things differ from the papers. Work is taken from a queue ordered by context switches rather than depth
first, so that the first counterexample is a short one; the sleep set of a choice holds the siblings that
were taken before it, whatever the order. And clients that run the same program and have not begun are
interchangeable: of those only the first is ever tried, because the others give the same run with two names
exchanged.

Pure: it is handed traces, and says which schedule to run next.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from harness.exploring.events import StepKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.exploring.conflicts import Conflicts
    from harness.exploring.events import Event, Trace


class Sleeper(NamedTuple):
    """Why a client need not be let go: it was, in a state from which that leads to the same."""

    steps: tuple[Event, ...]
    """What followed. A step that depends on one of those wakes the client."""
    doubtful: bool = False
    """Something has locked rows since, where it would too. Only trying can tell whether it has to wait now;
    when it does not, everything has been seen before, and the run can end."""


Sleep: TypeAlias = "Mapping[str, Sleeper]"


@dataclass(slots=True)
class _Node:
    """A state of the target, reached by one sequence of choices."""

    path: tuple[str, ...]
    sleep: Sleep
    enabled: frozenset[str] = frozenset()
    fresh: frozenset[str] = frozenset()
    wanted: set[str] = field(default_factory=set)
    """Choices that were made or are in the queue."""
    done: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    """Choices that were made, with the steps each led to."""
    preemptions: int = 0
    """How many it took to get here."""


@dataclass(frozen=True, slots=True)
class Task:
    """A schedule to run: follow the choices, then go on with as few switches as can be."""

    choices: tuple[str, ...]
    sleep: Sleep
    """Who sleeps before the last of ``choices`` is made."""


class Search:
    """The set of schedules of one scenario that are still to be run."""

    def __init__(
        self,
        conflicts: Conflicts,
        *,
        clients: Sequence[str],
        alike: Sequence[Sequence[str]] = (),
        preemptions: int | None = None,
    ) -> None:
        """Begin with one schedule: no choices, everything by default.

        :param clients: in the order in which they go where nothing else decides.
        :param alike: groups of clients that run the same program, each in a fixed order.
        :param preemptions: leave out schedules with more preemptions than this; then nothing is exhausted.
        """
        self.conflicts = conflicts
        self.cut = False
        """Whether anything was left out because of ``preemptions``."""
        self._clients = list(clients)
        self._alike = [tuple(group) for group in alike]
        self._limit = preemptions
        self._nodes: dict[tuple[str, ...], _Node] = {}
        self._queue: list[tuple[int, int, int, tuple[str, ...], str]] = []
        self._order = itertools.count()
        self._begun = False

    def next(self) -> Task | None:
        """Return the next schedule to run; ``None`` when all inequivalent ones have been."""
        if not self._begun:
            self._begun = True
            return Task((), {})
        while self._queue:
            _, _, _, path, client = heapq.heappop(self._queue)
            node = self._nodes[path]
            if client in node.done or _asleep(node.sleep, client):
                continue
            return Task((*path, client), _with_done(node))
        return None

    def add(self, task: Task, trace: Trace) -> None:
        """Learn from a run of that task, and queue what it shows to be missing."""
        self._grow(task, trace)
        steps = list(_by_decision(trace).values())
        before = self._happens_before(steps)
        for first, second in self._races(trace, steps, before):
            self._reverse(trace, steps, before, first, second)

    def awake(self, sleep: Sleep, event: Event) -> dict[str, Sleeper]:
        """Return who still sleeps after a step."""
        asleep: dict[str, Sleeper] = {}
        for client, (steps, doubtful) in sleep.items():
            if client == event.client or any(self.conflicts.dependent(step, event) for step in steps):
                continue
            asleep[client] = Sleeper(
                steps, doubtful or any(self.conflicts.may_wait(step, event) for step in steps)
            )
        return asleep

    def choose(
        self, enabled: frozenset[str], fresh: frozenset[str], sleep: Sleep, last: str | None
    ) -> str | None:
        """Return whom to let go where no schedule says: whoever was last, if that is possible.

        ``None`` when everybody who could go sleeps: what follows has been run before, in another order.
        """
        open_ = {
            client
            for client in enabled
            if not _asleep(sleep, client) and not _asleep(sleep, self._representative(enabled, fresh, client))
        }
        if last in open_:
            return last
        return min(open_, key=lambda client: (client in sleep, self._clients.index(client)), default=None)

    def difference(self, task: Task, trace: Trace) -> str:
        """Say where a run began otherwise than the one from which its task was made; else nothing."""
        steps = _by_decision(trace)
        if len(trace.chosen) < len(task.choices):
            return f"a schedule of {len(task.choices)} steps was over after {len(trace.chosen)}"
        for depth in range(len(task.choices) - 1):
            known = self._nodes[trace.chosen[:depth]].done[trace.chosen[depth]]
            before, now = known[0].shape, steps[depth][0].shape
            if before != now:
                return f"step {depth + 1} of one schedule was {before!r}, then {now!r}"
        return ""

    def _grow(self, task: Task, trace: Trace) -> None:
        """Add the states along a run that were not known."""
        steps = _by_decision(trace)
        branch = len(task.choices) - 1
        sleep: dict[str, Sleeper] = {}
        preemptions = 0
        for depth, chosen in enumerate(trace.chosen):
            reached_with = preemptions
            preemptions += trace.preempts(depth)
            node = self._nodes.setdefault(trace.chosen[:depth], _Node(trace.chosen[:depth], sleep))
            if depth < branch:
                continue
            node.enabled, node.fresh = trace.enabled[depth], trace.fresh[depth]
            node.preemptions = reached_with
            node.wanted.add(chosen)
            sleep = _with_done(node)
            sleep.pop(chosen, None)
            node.done.setdefault(chosen, steps[depth])
            for event in steps[depth]:
                sleep = self.awake(sleep, event)

    def _happens_before(self, steps: Sequence[tuple[Event, ...]]) -> list[set[int]]:
        """Return for each choice the choices that are ordered before it.

        What a choice led to is taken as one: who waited for a lock goes on with whoever lets go of it, and
        cannot be moved without.
        """
        before: list[set[int]] = []
        for later, events in enumerate(steps):
            mine: set[int] = set()
            for earlier in range(later - 1, -1, -1):
                if earlier not in mine and self._dependent(steps[earlier], events):
                    mine.add(earlier)
                    mine |= before[earlier]
            before.append(mine)
        return before

    def _dependent(self, some: Sequence[Event], others: Sequence[Event]) -> bool:
        return any(self.conflicts.dependent(one, other) for one in some for other in others)

    def _may_order(self, some: Sequence[Event], changed: Sequence[Event]) -> bool:
        """Say whether steps could come in an order that matters once the latter do not do what they did."""
        cut_short = any(event.failed or event.waited_for for event in changed)
        return any(
            self.conflicts.dependent(one, other)
            or self.conflicts.may_wait(one, other)
            or (cut_short and one.kind is not StepKind.START)
            for one in some
            for other in changed
        )

    def _races(
        self, trace: Trace, steps: Sequence[tuple[Event, ...]], before: list[set[int]]
    ) -> list[tuple[int, int]]:
        """Return the pairs that depend on each other directly and could have come the other way."""
        found = []
        for second, mine in enumerate(before):
            for first in mine:
                between = any(first in before[middle] for middle in mine)
                # Whose step went on because of the first choice could not have been chosen before it.
                causes = any(event.client == trace.chosen[second] for event in steps[first])
                if not between and not causes:
                    found.append((first, second))
        return found

    def _reverse(
        self,
        trace: Trace,
        steps: Sequence[tuple[Event, ...]],
        before: list[set[int]],
        first: int,
        second: int,
    ) -> None:
        """Queue a choice with which the second can come before the first."""
        depth = first
        node = self._nodes[trace.chosen[:depth]]
        # What can come before the first: everything that does not follow from it.
        free = [index for index in range(first + 1, len(steps)) if first not in before[index]]
        initials = {
            trace.chosen[index]
            for index in free
            if not any(other in before[index] for other in free if other < index)
        }
        # Without the first, the second may do more than it did: wait for others, or not wait at all.
        if not any(self._may_order(steps[index], steps[second]) for index in free):
            initials.add(trace.chosen[second])
        possible = initials & node.enabled
        candidates = {
            self._representative(node.enabled, node.fresh, client) for client in possible or node.enabled
        }
        if not possible:
            for client in sorted(candidates):
                self._want(node, client, trace, depth)
        elif not candidates & node.wanted:
            preferred = self._representative(node.enabled, node.fresh, trace.chosen[second])
            self._want(node, preferred if preferred in candidates else min(candidates), trace, depth)

    def _representative(self, enabled: frozenset[str], fresh: frozenset[str], client: str) -> str:
        """Return the client that stands for this one: the first of its kind that has not begun either."""
        if client in fresh:
            for group in self._alike:
                if client in group:
                    return next((other for other in group if other in fresh & enabled), client)
        return client

    def _want(self, node: _Node, client: str, trace: Trace, depth: int) -> None:
        if client in node.wanted:
            return
        last = trace.chosen[depth - 1] if depth else None
        preempts = last is not None and client != last and last in node.enabled
        cost = node.preemptions + preempts
        if self._limit is not None and cost > self._limit:
            self.cut = True
            return
        node.wanted.add(client)
        heapq.heappush(self._queue, (cost, depth, next(self._order), node.path, client))


def is_repetition(sleep: Sleep, steps: Sequence[Event]) -> bool:
    """Say whether a choice turned out to do what a sleeper did, so that what follows has been run before.

    :param sleep: who slept before it.
    :param steps: what it led to.
    """
    known = sleep.get(steps[0].client) if steps else None
    return known is not None and list(map(_effect, known.steps)) == list(map(_effect, steps))


def _effect(event: Event) -> tuple[object, ...]:
    return (event.client, event.kind, event.failed, event.waited_for)


def _asleep(sleep: Sleep, client: str) -> bool:
    return client in sleep and not sleep[client].doubtful


def _with_done(node: _Node) -> dict[str, Sleeper]:
    """Return who sleeps in a state once another choice is made there."""
    return {**node.sleep, **{client: Sleeper(steps) for client, steps in node.done.items()}}


def _by_decision(trace: Trace) -> dict[int, tuple[Event, ...]]:
    """Return the steps that each choice led to."""
    steps: dict[int, tuple[Event, ...]] = {}
    for event in trace.events:
        steps[event.decision] = (*steps.get(event.decision, ()), event)
    return steps
