"""Evidence as a correct target would leave it, drawn by Hypothesis.

Theory of operation. A scenario is drawn, and a target: one that behaves like the sequential specification,
with the freedoms that correct targets have (how it names reservations, whether it recognises repeats, which
numbers it shows). Then every client becomes a track of steps (invoke, take effect, complete), and a drawn
schedule says whose step comes next. So an operation takes effect at one moment within its call, calls
overlap in every way, and the history is linearizable by construction. An operation whose answer is lost
becomes a track of its own: it takes effect at any later step, or never.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    Entry,
    Evidence,
    Outcome,
    Phase,
    Program,
    Proof,
    ReadAvailability,
    Reserve,
    Scenario,
    TicketType,
)
from harness.model.sequential import State, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.model import Operation

EVENTS = ("friday", "saturday")
NAMES = ("general", "balcony", "student")
PEOPLE = ("ada", "ben", "cleo", "dan")


@dataclass(frozen=True)
class Habits:
    """The freedoms a correct target has."""

    ids: str = "unique"
    """``unique``; ``person``: one for each ticket type and person; ``seat``: reused when free again."""
    answers_ids: bool = True
    rows: bool = True
    rows_have_ids: bool = True
    counts_sold: bool = True
    counts_remaining: bool = True
    recognises_repeats: bool = False
    """Reserving what one already has is accepted, and so is cancelling what one has not."""


def operations(tickets: tuple[TicketType, ...], people: tuple[str, ...]) -> st.SearchStrategy[Operation]:
    """Any operation of the model by these people on these ticket types."""
    ticket = st.sampled_from([ticket.name for ticket in tickets])
    person = st.sampled_from(people)
    return st.one_of(
        st.builds(
            Reserve,
            ticket=ticket,
            person=person,
            quantity=st.sampled_from([1, 1, 1, 2, 3]),
            proof=st.sampled_from([Proof.NONE, Proof.NONE, Proof.NONE, *Proof]),
        ),
        st.builds(Reserve, ticket=ticket, person=person, disconnects=st.booleans()),
        st.builds(Cancel, ticket=ticket, person=person),
        st.builds(ReadAvailability, ticket=ticket, person=person),
    )


@st.composite
def stocks(draw: st.DrawFn) -> tuple[TicketType, ...]:
    """One to three ticket types of one or two events; the first is on sale, the others may be over."""
    return tuple(
        TicketType(
            name=name,
            initial=draw(st.integers(0, 4)),
            event=draw(st.sampled_from(EVENTS)),
            closed=number > 0 and draw(st.booleans()),
        )
        for number, name in enumerate(NAMES[: draw(st.integers(1, 3))])
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """One or two phases of up to four clients, each for one person, who may have several clients."""
    tickets = draw(stocks())
    program = st.one_of(
        [st.lists(operations(tickets, (person,)), min_size=1, max_size=4) for person in PEOPLE]
    )
    programs = st.lists(program, min_size=1, max_size=4)
    phases = tuple(
        Phase(
            f"phase {number}",
            tuple(Program(f"client-{index}", tuple(steps)) for index, steps in enumerate(draw(programs))),
        )
        for number in range(draw(st.integers(1, 2)))
    )
    return Scenario(tickets=tickets, phases=phases)


def habits() -> st.SearchStrategy[Habits]:
    """Any correct target."""
    return st.builds(Habits, ids=st.sampled_from(["unique", "person", "seat"]))


ALL_SHOWN = st.just(Habits())
"""A target that shows everything a law can ask for."""


@st.composite
def evidences(draw: st.DrawFn, targets: st.SearchStrategy[Habits] | None = None) -> Evidence:
    """Evidence of a correct target, whatever the order, the overlap and the answers lost."""
    scenario = draw(scenarios())
    run = Run(scenario, draw(habits() if targets is None else targets))
    for number, phase in enumerate(scenario.phases):
        count = sum(len(program.operations) for program in phase.programs)
        fates = iter(draw(st.lists(st.sampled_from(FATES), min_size=count, max_size=count)))
        schedule = draw(st.binary(min_size=count, max_size=8 * count))
        run.drive(phase, number, fates, schedule)
    return run.evidence()


ANSWERED, PUT_OFF, LOST, SILENT = "answered", "put off", "lost", "silent"
FATES = (ANSWERED, ANSWERED, ANSWERED, ANSWERED, PUT_OFF, LOST, SILENT)
"""Put off: refused for a passing reason. Lost: the answer was an error. Silent: none ever came."""


@dataclass
class Run:
    """A correct target being driven, one step at a time."""

    scenario: Scenario
    habits: Habits
    state: State = field(init=False)
    clock: int = 0
    history: list[Call] = field(default_factory=list)
    states: list[Books] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)
    """The target's own names for reservations, by those of the specification."""
    given: dict[tuple[str, str], str] = field(default_factory=dict)
    """The last id answered for each ticket type and person; an engine fills it into cancels."""
    late: list[Callable[[], object]] = field(default_factory=list)
    """What may yet take effect, or never."""

    def __post_init__(self) -> None:
        self.state = opening(self.scenario.tickets)

    def drive(self, phase: Phase, number: int, fates: Iterator[str], schedule: bytes) -> None:
        """Let the clients of a phase take their steps in the order of the schedule."""
        tracks = [self._track(program, number, fates) for program in phase.programs]
        turns = iter(schedule)
        while tracks:
            turn = next(turns, 0) % (len(tracks) + len(self.late))
            self.clock += 1
            if turn >= len(tracks):
                self.late.pop(turn - len(tracks))()
            elif next(tracks[turn], None) is None:
                del tracks[turn]

    def evidence(self) -> Evidence:
        """Return what the run left; whatever has not taken effect by now never does."""
        calls = sorted(self.history, key=lambda call: call.invoked)
        return Evidence(
            scenario=self.scenario,
            history=tuple(replace(call, index=index) for index, call in enumerate(calls)),
            books=self._books(),
            states=tuple(self.states),
        )

    def _track(self, program: Program, phase: int, fates: Iterator[str]) -> Iterator[str]:
        for planned in program.operations:
            operation, fate, invoked = self._filled_in(planned), next(fates), self.clock
            answer = Answer(Outcome.UNKNOWN if fate in (LOST, SILENT) else Outcome.RETRYABLE)
            if isinstance(operation, Reserve) and operation.disconnects:
                answer, fate = Answer(Outcome.UNKNOWN), SILENT
            if answer.outcome is Outcome.UNKNOWN:
                self.late.append(lambda operation=operation: self._take_effect(operation))  # type: ignore[misc]  # binds this turn's operation
            yield "invoked"
            if fate == ANSWERED:
                answer = self._take_effect(operation)
                yield "took effect"
            self.history.append(
                Call(
                    index=0,
                    client=program.client,
                    phase=phase,
                    operation=operation,
                    answer=answer,
                    invoked=invoked,
                    completed=None if fate == SILENT else self.clock,
                )
            )
            self._remember(operation, answer)
            yield "completed"

    def _filled_in(self, operation: Operation) -> Operation:
        if isinstance(operation, Cancel):
            return replace(operation, reservation=self.given.get((operation.ticket, operation.person)))
        return operation

    def _remember(self, operation: Operation, answer: Answer) -> None:
        if isinstance(operation, Reserve) and answer.reservation is not None:
            self.given[operation.ticket, operation.person] = answer.reservation

    def _take_effect(self, operation: Operation) -> Answer:
        self.state, answer = self.state.apply(self._by_inner_name(operation))
        if isinstance(operation, Reserve) and answer.reservation is not None:
            self.shown[answer.reservation] = self._name(operation, answer.reservation)
        self.states.append(self._books())
        return self._as_told(operation, answer)

    def _by_inner_name(self, operation: Operation) -> Operation:
        """Return a cancel with the specification's name for what stands under the target's name."""
        if not isinstance(operation, Cancel) or operation.reservation is None:
            return operation
        for entry in self.state.standing:
            if self.shown[str(entry.reservation)] == operation.reservation:
                return replace(operation, reservation=entry.reservation)
        return operation

    def _name(self, reserve: Reserve, inner: str) -> str:
        if self.habits.ids == "person":
            return f"{reserve.ticket}/{reserve.person}"
        if self.habits.ids == "seat":
            used = {self.shown.get(str(entry.reservation)) for entry in self.state.standing}
            return next(seat for number in range(99) if (seat := f"{reserve.ticket}-{number}") not in used)
        return inner

    def _as_told(self, operation: Operation, answer: Answer) -> Answer:
        """Return the answer in this target's manner of speaking."""
        if self.habits.recognises_repeats:
            answer = self._kindly(operation, answer)
        known = self.shown.get(answer.reservation or "")
        return replace(answer, reservation=known if self.habits.answers_ids else None)

    def _kindly(self, operation: Operation, answer: Answer) -> Answer:
        if isinstance(operation, Cancel) and answer.outcome is Outcome.INVALID:
            return Answer(Outcome.ACCEPTED)
        if answer.outcome is Outcome.DUPLICATE:
            for entry in self.state.standing:
                if (entry.ticket, entry.person) == (operation.ticket, operation.person):
                    return Answer(Outcome.ACCEPTED, reservation=entry.reservation)
        return answer

    def _books(self) -> Books:
        shows, books = self.habits, self.state.books()
        hidden: dict[str, Any] = {}
        if not shows.counts_sold:
            hidden["sold"] = None
        if not shows.counts_remaining:
            hidden["remaining"] = None
        return Books(
            stock=tuple(replace(stock, **hidden) for stock in books.stock),
            entries=tuple(self._row(entry) for entry in books.entries or ()) if shows.rows else None,
        )

    def _row(self, entry: Entry) -> Entry:
        shown = self.shown[str(entry.reservation)] if self.habits.rows_have_ids else None
        return replace(entry, reservation=shown)
