"""The search: Hypothesis draws examples, each is walked and judged, and what breaks a law is made small.

The first example that breaks a law is kept by the tally, whatever becomes of it; from then on only that law
is looked for, and what Hypothesis runs to make the example smaller is nobody's evidence. Nothing is walked
twice: much that Hypothesis draws means the same, and what is known of it is remembered. So Hypothesis never
sees a target that changes its answers; that is asked afterwards, when what broke is walked again ten times.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import hypothesis
from hypothesis.stateful import run_state_machine_as_test

from harness.drawing.bridge import StoppedError
from harness.drawing.machine import machine_class
from harness.drawing.profiles import nothing_stored
from harness.drawing.walk import Walk, contenders, overlapping, sold_out
from harness.exploring.shrinking import most_telling
from harness.laws import judge
from harness.model import Outcome
from harness.model.operations import kind_name, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.drawing.bridge import Bridge
    from harness.drawing.machine import DrawingMachine
    from harness.drawing.vocabulary import Vocabulary
    from harness.drawing.walk import DrawnPhase
    from harness.driving.tally import Tally
    from harness.model import Evidence, Operation

Drawn: TypeAlias = "tuple[DrawnPhase, ...]"
_REPRODUCTION = re.compile(r"@reproduce_failure\([^)]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How examples are drawn."""

    settings: hypothesis.settings
    seed: str
    clients: int
    """Most clients that are pending at one time."""


class BrokenError(Exception):
    """An example broke the law that is looked for. What Hypothesis makes small; seen by nobody else."""


@dataclass(slots=True, kw_only=True)
class Search:
    """What the examples of one check have shown so far. Lives in Hypothesis' thread."""

    bridge: Bridge
    tally: Tally
    walk: Callable[[], Walk]
    """Begins an example."""
    kinds: tuple[type[Operation], ...]
    examples: int
    """How many different examples are walked."""
    until: float
    """The moment of the monotonic clock, in seconds, from which no example is begun."""
    shrinking: float
    """Seconds for making a failure small."""
    laws: tuple[str, ...] | None = None
    """Which laws to stop for; ``None`` for any that is judged."""
    law: str | None = None
    """The law that was broken first."""
    broken: Walk | None = None
    """The smallest walk that broke it, as far as there was time to look."""
    reproduction: str = ""
    """How Hypothesis draws that again."""
    cut: bool = False
    """The time was used up before all examples were drawn."""
    _shrinking_until: float = 0.0
    _held: set[Drawn] = field(default_factory=set)
    """Beginnings of examples after which every law held."""
    _failing: dict[Drawn, Walk] = field(default_factory=dict)

    def begin(self) -> _Example:
        """Begin an example.

        :raises StoppedError: when there is no time for one more, or enough have been walked.
        """
        if self.law is None:
            self.cut = time.monotonic() > self.until
            if self.cut or self.tally.runs >= self.examples:
                raise StoppedError
        return _Example(self, self.walk())

    def run(self, vocabulary: Vocabulary, drawing: Drawing) -> None:
        """Have Hypothesis draw examples, and keep what comes of them. Called in a thread of its own."""
        machine = machine_class(vocabulary.kinds, tickets=len(vocabulary.tickets))

        def factory() -> DrawingMachine:
            return machine(vocabulary, self.begin, drawing.clients)

        try:
            with nothing_stored():
                run_state_machine_as_test(
                    hypothesis.seed(drawing.seed)(factory),  # type: ignore[arg-type]  # any callable will do
                    settings=drawing.settings,
                )
        except BrokenError as error:
            self.reproduction = _reproduction(error)
        except StoppedError:
            return

    def is_known_to_hold(self, drawn: Drawn) -> bool:
        """Say whether an example is not worth walking by now.

        :raises BrokenError: when it is known to break the law.
        """
        if drawn in self._failing:
            self._break(self._failing[drawn])
        too_late = self.law is not None and time.monotonic() > self._shrinking_until
        return too_late or drawn in self._held

    def judge(self, walk: Walk, evidence: Evidence) -> None:
        """Judge an example by now.

        :raises BrokenError: when it breaks the law that is looked for, or any while none is.
        :raises StoppedError: when nobody could go on, after which nothing can be said of the next.
        """
        wanted = (self.law,) if self.law is not None else self.laws
        found = judge(evidence, self.tally.laws).violations
        broken = [each.law for each in found if wanted is None or each.law in wanted]
        if self.law is None and (broken or walk.stuck):
            self.count(walk, evidence)
        if walk.stuck:
            raise StoppedError
        if not broken:
            self._held.add(walk.key)
            return
        if self.law is None:
            self.law = most_telling(broken)
            self._shrinking_until = time.monotonic() + self.shrinking
        self._failing[walk.key] = walk
        self._break(walk)

    def _break(self, walk: Walk) -> NoReturn:
        """Tell Hypothesis, always from the same line: by that it knows that it is the same failure."""
        self.broken = walk
        raise BrokenError

    def count(self, walk: Walk, evidence: Evidence) -> None:
        """Give an example to the tally, and count what it reached."""
        self.bridge.wait_for(lambda: self._add(walk, evidence))

    async def _add(self, walk: Walk, evidence: Evidence) -> None:
        coverage = self.tally.coverage
        if not coverage:
            coverage.update(_nothing(self.kinds))
        for call in evidence.history:
            coverage[kind_of(call.operation)] += 1
            coverage[f"{kind_of(call.operation)}_accepted"] += call.outcome is Outcome.ACCEPTED
        coverage["steps"] += len(evidence.scenario.phases)
        coverage["overlapping_steps"] += overlapping(evidence)
        coverage["sold_out"] += sold_out(evidence)
        coverage["lock_waits"] += sum(ran.waits for ran in walk.ran)
        self.tally.commits += sum(ran.commits for ran in walk.ran)
        self.tally.add(evidence)


@dataclass(slots=True)
class _Example:
    """One example; see :class:`harness.drawing.machine.Stepper`."""

    search: Search
    walk: Walk
    drawn: Drawn = ()
    """What was drawn by now; it is walked once something in it is not known."""

    def run(self, phase: DrawnPhase) -> None:
        """Run one more phase and judge it."""
        self.drawn = (*self.drawn, phase)
        if self.search.is_known_to_hold(self.drawn):
            return
        evidence = self.search.bridge.wait_for(lambda: self.walk.run(self.drawn))
        self.search.judge(self.walk, evidence)

    def end(self) -> None:
        """Count what it reached, and tell Hypothesis where there was contention."""
        evidence = self.walk.evidence
        if self.search.law is not None or evidence is None:
            return
        self.search.count(self.walk, evidence)
        hypothesis.target(float(contenders(evidence)), label="calls that want the last units at once")
        hypothesis.target(float(sum(ran.waits for ran in self.walk.ran)), label="waits for a lock")
        hypothesis.target(float(sold_out(evidence)), label="times the stock ran out")


def _nothing(kinds: tuple[type[Operation], ...]) -> Counter[str]:
    """Return every count at zero, in the order in which reports show them."""
    names = [kind_name(kind) for kind in kinds]
    counts = ["steps", "overlapping_steps", "sold_out", "lock_waits"]
    return Counter(
        dict.fromkeys([*counts, *(each for name in names for each in (name, f"{name}_accepted"))], 0)
    )


def _reproduction(error: BaseException) -> str:
    """Return the decorator by which Hypothesis says how to draw an example again."""
    found = _REPRODUCTION.search("\n".join(getattr(error, "__notes__", ())))
    return found.group() if found else ""
