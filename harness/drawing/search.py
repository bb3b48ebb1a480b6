"""The search: Hypothesis draws examples, each is walked and judged, and what breaks a law is made small.

The first example that breaks a law is kept by the tally, whatever becomes of it; from then on only that law
is looked for, and what Hypothesis runs to make the example smaller is nobody's evidence. Nothing is walked
twice: much that Hypothesis draws means the same, and what is known of it is remembered. So Hypothesis never
sees a target that changes its answers; that is asked afterwards, when what broke is walked again ten times.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import hypothesis
from hypothesis.errors import DidNotReproduce, InvalidArgument
from hypothesis.stateful import run_state_machine_as_test

from harness.drawing.bridge import StoppedError
from harness.drawing.coverage import contenders, doubts, reached, sold_out
from harness.drawing.machine import machine_class
from harness.drawing.profiles import nothing_stored
from harness.drawing.switches import Switch
from harness.drawing.walk import DrawnPhase
from harness.model import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.drawing.bridge import Bridge
    from harness.drawing.machine import DrawingMachine
    from harness.drawing.vocabulary import Vocabulary
    from harness.drawing.walk import Walk
    from harness.driving.tally import Tally
    from harness.model import Evidence, Operation

Drawn: TypeAlias = "tuple[DrawnPhase, ...]"
_MORE = 3
"""Times as many examples are walked where something was not reached."""
_LONGER = 5
"""And times as many seconds, at most."""
_AT_ONCE = (Switch(1, 0), Switch(1, 0))
"""Both have begun before either goes on."""
_REMEMBERED, _EVERY = 5, 4
"""Walks that are walked again, to see whether the target does the same, and of how many each is one."""
_REPRODUCTION = re.compile(r"@reproduce_failure\([^)]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """How examples are drawn."""

    settings: hypothesis.settings
    seed: str
    clients: int
    """Most clients that are pending at one time."""
    reproduce: tuple[str, bytes] | None = None
    """Draw this example and no other; see ``hypothesis.reproduce_failure``."""


class BrokenError(Exception):
    """An example broke the law that is looked for. What Hypothesis makes small; seen by nobody else."""


@dataclass(slots=True, kw_only=True)
class Search:
    """What the examples of one check have shown so far. Lives in Hypothesis' thread."""

    bridge: Bridge
    tally: Tally
    walk: Callable[[], Walk]
    """Begins an example."""
    examples: int | None
    """How many different examples are walked; ``None`` for as many as there is time for."""
    vocabulary: Vocabulary
    seconds: float
    """For drawing examples; up to five times as long where something was not reached by then."""
    share: float = math.inf
    """Seconds that fall to this check; drawing never takes longer, except for the tour."""
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
    not_reproduced: str = ""
    """Why the one example that was to be drawn broke nothing."""
    held: deque[Walk] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """The last walks in which requests overlapped and every law held."""
    _begun: float = field(default_factory=time.monotonic)
    _touring: bool = False
    _broken_on_tour: bool = False
    """The tour broke the law, and nothing that Hypothesis drew has by now."""
    _last: Walk | None = None
    _shrinking_until: float = 0.0
    _held: set[Drawn] = field(default_factory=set)
    """Beginnings of examples after which every law held."""
    _failing: dict[Drawn, Walk] = field(default_factory=dict)

    def begin(self) -> _Example:
        """Begin an example.

        :raises StoppedError: when there is no time for one more, or enough have been walked.
        """
        if self.law is None:
            self._stop_when_enough()
        elif self._broken_on_tour and time.monotonic() > self._shrinking_until:
            raise StoppedError
        self._last = self.walk()
        return _Example(self, self._last)

    def _stop_when_enough(self) -> None:
        """Stop when everything planned was walked, or the time is up; later where something was not reached.

        So how busy the machine is decides how much is drawn, and not whether a pass says anything: the tour
        is always walked in full, and where that was not enough there is more time.

        :raises StoppedError: when nothing more is to be walked.
        """
        if self._touring:
            return
        coverage = self.tally.coverage
        missing = not coverage["overlapping_steps"] or any(doubts(coverage, self.vocabulary))
        most = None if self.examples is None else self.examples * (_MORE if missing else 1)
        limit = min(self.seconds * (_LONGER if missing else 1), self.share)
        self.cut = time.monotonic() - self._begun > limit
        if self.cut or (most is not None and self.tally.runs >= most):
            raise StoppedError

    def run(self, drawing: Drawing) -> None:
        """Have Hypothesis draw examples, and keep what comes of them. Called in a thread of its own."""
        vocabulary = self.vocabulary
        machine = machine_class(vocabulary.kinds, tickets=len(vocabulary.tickets))

        def factory() -> DrawingMachine:
            return machine(vocabulary, self.begin, drawing.clients)

        test = hypothesis.seed(drawing.seed)(factory)
        if drawing.reproduce is not None:
            test = hypothesis.reproduce_failure(*drawing.reproduce)(test)
        try:
            if drawing.reproduce is None:
                self._guided_tour()
            with nothing_stored():
                # Any callable that makes a machine will do, whatever the annotation says.
                run_state_machine_as_test(test, settings=drawing.settings)  # type: ignore[arg-type]
        except (DidNotReproduce, InvalidArgument) as error:
            if drawing.reproduce is None:
                raise
            self._not_reproduced(error)
        except BrokenError as error:
            self.reproduction = _reproduction(error)
        except StoppedError:
            return

    def _guided_tour(self) -> None:
        """Walk examples that use everything before any is drawn; where one breaks a law, look for that only.

        A tour is long, and Hypothesis cannot make smaller what it did not draw.
        """
        self._touring = True
        try:
            for tour in self._tours():
                example = self.begin()
                for phase in tour:
                    example.run(phase)
                example.count()
        except BrokenError:
            self._broken_on_tour = True
        finally:
            self._touring = False

    def _tours(self) -> Iterator[Sequence[DrawnPhase]]:
        """Yield every kind of operation, one after the other, and then a race of two."""
        yield from ([_phase(operation) for operation in tour] for tour in self.vocabulary.tours())
        before, rivals = self.vocabulary.race()
        yield [*map(_phase, before), _phase(*rivals)]

    def _not_reproduced(self, error: Exception) -> None:
        """Keep what there is of the one example that was to break a law, and did not."""
        walk = self._last
        if walk is None or walk.evidence is None:
            self.not_reproduced = f"it cannot be drawn here: {' '.join(str(error).split())}"
        else:
            self.not_reproduced = "every law held"
            self.count(walk, walk.evidence)

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
        found = self.tally.judge(evidence).violations
        broken = [each.law for each in found if wanted is None or each.law in wanted]
        if self.law is None and (broken or walk.stuck):
            self.count(walk, evidence)
        if walk.stuck:
            raise StoppedError
        if not broken:
            self._held.add(walk.key)
            return
        if self.law is None:
            self.law = broken[0]
            self._shrinking_until = time.monotonic() + self.shrinking
        self._failing[walk.key] = walk
        self._break(walk)

    def _break(self, walk: Walk) -> NoReturn:
        """Tell Hypothesis, always from the same line: by that it knows that it is the same failure."""
        self.broken = walk
        self._broken_on_tour = False
        raise BrokenError

    def count(self, walk: Walk, evidence: Evidence) -> None:
        """Give an example to the tally, and count what it reached."""
        self.bridge.wait_for(lambda: self._add(walk, evidence))

    async def _add(self, walk: Walk, evidence: Evidence) -> None:
        self.tally.coverage.update(reached(walk))
        self.tally.commits += sum(ran.commits for ran in walk.seen)
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

    def count(self) -> Evidence | None:
        """Count what it reached, unless it was walked to make another smaller, and return what there is."""
        evidence = self.walk.evidence
        if self.search.law is not None or evidence is None:
            return None
        self.search.count(self.walk, evidence)
        return evidence

    def end(self) -> None:
        """Count what it reached, and tell Hypothesis where there was contention."""
        evidence = self.count()
        if evidence is None:
            return
        # Neighbours are often much alike, so not the last ones but some from all over.
        if self.search.tally.runs % _EVERY == 0 and any(phase.switches for phase in self.walk.phases):
            self.search.held.append(self.walk)
        hypothesis.target(float(contenders(evidence)), label="calls that want the last units at once")
        hypothesis.target(float(sum(ran.waits for ran in self.walk.seen)), label="waits for a lock")
        hypothesis.target(float(sold_out(evidence)), label="times the stock ran out")


def _phase(*operations: Operation) -> DrawnPhase:
    """Return a phase of these at once, each by a client of its own."""
    programs = tuple(Program(f"client-{number}", (each,)) for number, each in enumerate(operations, start=1))
    return DrawnPhase(programs, _AT_ONCE if len(programs) > 1 else ())


def _reproduction(error: BaseException) -> str:
    """Return the decorator by which Hypothesis says how to draw an example again."""
    found = _REPRODUCTION.search("\n".join(getattr(error, "__notes__", ())))
    return found.group() if found else ""
