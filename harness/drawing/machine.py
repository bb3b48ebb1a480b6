"""The state machine: rules that add operations to pending programs, and one that lets them run.

One class for each set of kinds, so that every rule belongs to an operation that can be drawn: Hypothesis
leaves out some rules of a machine in each example, and rules that never apply would leave it nothing to do.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from harness.drawing.switches import Switch
from harness.drawing.vocabulary import PEOPLE, Moment
from harness.drawing.walk import DrawnPhase
from harness.model import Program
from harness.model.operations import kind_name
from harness.model.sequential import opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.drawing.vocabulary import Vocabulary
    from harness.model import Operation
    from harness.model.sequential import State

OPERATIONS = 2
"""Operations one pending program may have."""
_TURNS = (1, 2, 3, 4, 5, 6, 2, 3, 4, 8, 11)
"""Steps after which a drawn switch takes the turn away: early more often than late."""
_SWITCHES = st.builds(Switch, st.sampled_from(_TURNS), st.integers(0, 1))
_ANY = 2 * len(PEOPLE) - 1


class Stepper(Protocol):
    """Runs what a machine draws."""

    def run(self, phase: DrawnPhase) -> None:
        """Run one more phase of the example and judge it.

        :raises Exception: when the example shows what is looked for.
        """

    def end(self) -> None:
        """End the example."""


class DrawingMachine(RuleBasedStateMachine):
    """What all machines share; the rules that add operations come with :func:`machine_class`."""

    def __init__(self, vocabulary: Vocabulary, begin: Callable[[], Stepper], clients: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.clients = clients
        self.pending: dict[str, list[Operation]] = {}
        self.switches: list[Switch] = []
        self.settled = opening(vocabulary.tickets)
        self.stepper = begin()

    @property
    def moment(self) -> Moment:
        """Where the example stands, by the specification."""
        return Moment(self.settled, self._after_pending())

    def has_room(self) -> bool:
        """Say whether another operation can be pending."""
        return bool(self._open())

    def fits(self, kind: type[Operation]) -> bool:
        """Say whether an operation of that kind can come to anything now."""
        return self.vocabulary.fits(kind, self.moment)

    def add(
        self,
        kind: type[Operation],
        *,
        client: int,
        ticket: int,
        person: int,
        variation: int,
        switches: list[Switch],
    ) -> None:
        """Add an operation to a client's pending program; 0 is a client that has none.

        :param switches: what comes with it to the schedule. So every phase has one, however it begins to run.
        """
        chosen = self._open()[client % len(self._open())]
        operation = self.vocabulary.operation(
            kind, self.moment, ticket=ticket, person=person, variation=variation
        )
        self.pending.setdefault(chosen, []).append(operation)
        self.switches += switches

    @rule()
    @precondition(lambda self: self.is_worth_a_run())
    def run(self) -> None:
        """Let what is pending run as one phase, under the schedule that was drawn with it."""
        programs = tuple(Program(client, tuple(wanted)) for client, wanted in self.pending.items())
        phase = DrawnPhase(programs, tuple(self.switches) if len(programs) > 1 else ())
        self.settled = self._after_pending()
        self.pending, self.switches = {}, []
        self.stepper.run(phase)

    def is_worth_a_run(self) -> bool:
        """Say whether something is pending that can race, or that something else can follow upon."""
        return len(self.pending) > 1 or (bool(self.pending) and len(self.vocabulary.kinds) > 1)

    def teardown(self) -> None:
        """Run what is still pending, and end the example."""
        if sys.exc_info()[0] is not None:
            return  # Hypothesis has broken the example off, or it has shown what was looked for.
        if self.pending:
            self.run()
        self.stepper.end()

    def _open(self) -> list[str]:
        """Return the clients that may do one thing more: the next new one, then those that have room."""
        fresh = [f"client-{len(self.pending) + 1}"] if len(self.pending) < self.clients else []
        return [*fresh, *(client for client, wanted in self.pending.items() if len(wanted) < OPERATIONS)]

    def _after_pending(self) -> State:
        state = self.settled
        for wanted in self.pending.values():
            for operation in wanted:
                state, _ = state.apply(operation)
        return state


@lru_cache(maxsize=64)
def machine_class(kinds: tuple[type[Operation], ...], *, tickets: int) -> type[DrawingMachine]:
    """Return the machine with a rule for each of these kinds.

    :param tickets: how many ticket types there are.
    """
    rules = {kind_name(kind): _rule(kind, tickets) for kind in kinds}
    return type("Machine", (DrawingMachine,), rules)


def _rule(kind: type[Operation], tickets: int) -> Any:
    def add(self: DrawingMachine, **drawn: Any) -> None:
        self.add(kind, **drawn)

    add.__name__ = kind_name(kind)
    drawn = rule(
        client=st.integers(0, 2),
        ticket=st.integers(0, tickets - 1),
        person=st.integers(0, _ANY),
        variation=st.integers(0, 3),
        switches=st.lists(_SWITCHES, max_size=2),
    )(add)
    return precondition(lambda self: self.has_room() and self.fits(kind))(drawn)
