"""Evidence as a correct target would leave it, drawn by Hypothesis.

Theory of operation. A scenario is drawn, and a target: one that behaves like the sequential specification,
with the freedoms that correct targets have (how it names reservations, whether it recognises repeats, which
numbers it shows). Then every client becomes a track of steps (invoke, take effect, complete), and a drawn
schedule says whose step comes next. So an operation takes effect at one moment within its call, calls
overlap in every way, and the history is linearizable by construction. An operation whose answer is lost
becomes a track of its own: it takes effect at any later step, or never.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    ChangeCapacity,
    Confirm,
    Entry,
    Evidence,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    Phase,
    Program,
    Proof,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
    Scenario,
    TicketType,
)
from harness.model.sequential import State, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    """What was done already is accepted again: reserving, holding, confirming, cancelling, and so on."""
    shows_holds: bool = True
    shows_waiting: bool = True
    shows_refunds: bool = True
    shows_present_capacity: bool = True
    """What the target shows as the initial quantity is the present capacity."""
    confirms_keep_ids: bool = False
    """A reservation has the name of the hold that it was confirmed from."""
    early_lines: bool = False
    """Joining the line is accepted while something remains, and served at once."""


class Family(StrEnum):
    """What belongs together in a scenario."""

    SALES = "sales"
    HOLDS = "holds"
    GROUPS = "groups"
    LINE = "line"
    CAPACITY = "capacity"
    REFUNDS = "refunds"
    OWNERS = "owners"
    NUMBERS = "numbers"


def operations(
    tickets: tuple[TicketType, ...],
    people: tuple[str, ...],
    families: frozenset[Family] = frozenset({Family.SALES}),
) -> st.SearchStrategy[Operation]:
    """Any operation of these families by these people on these ticket types."""
    ticket = st.sampled_from([ticket.name for ticket in tickets])
    person = st.sampled_from(people)
    either: dict[Family, list[st.SearchStrategy[Operation]]] = {
        Family.SALES: [
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
        ],
        Family.HOLDS: [
            st.builds(Hold, ticket=ticket, person=person, quantity=st.sampled_from([1, 1, 2])),
            st.builds(Confirm, ticket=ticket, person=person),
            st.builds(Confirm, ticket=ticket, person=person),
            st.builds(Release, ticket=ticket, person=person),
            st.builds(Expire, ticket=ticket, person=person),
        ],
        Family.GROUPS: [st.builds(ReserveGroup, ticket=ticket, person=person, members=_members())],
        Family.LINE: [
            st.builds(JoinWaitlist, ticket=ticket, person=person),
            st.builds(JoinWaitlist, ticket=ticket, person=person),
            st.builds(LeaveWaitlist, ticket=ticket, person=person),
        ],
        Family.CAPACITY: [
            st.builds(ChangeCapacity, ticket=ticket, person=person, capacity=st.integers(0, 6)),
        ],
        Family.REFUNDS: [st.builds(Refund, ticket=ticket, person=person)],
        Family.OWNERS: [st.builds(Cancel, ticket=ticket, person=person, whose=st.sampled_from(PEOPLE))],
        Family.NUMBERS: [
            st.builds(ReadAvailability, ticket=ticket, person=person),
            st.builds(ReadNotice, ticket=ticket, person=person),
            st.builds(ReadSales, ticket=ticket, person=person),
        ],
    }
    # Not one_of: it leaves out strategies that are the same object, and whether two that look alike are one
    # object depends on what Hypothesis happens to have in its cache.
    options = [each for family in sorted(families) for each in either[family]]
    return st.integers(0, len(options) - 1).flatmap(options.__getitem__)


def _members() -> st.SearchStrategy[tuple[str, ...]]:
    """Two or three people; sometimes one of them twice."""
    return st.one_of(
        st.lists(st.sampled_from(PEOPLE), min_size=2, max_size=3, unique=True).map(tuple),
        st.lists(st.sampled_from(PEOPLE), min_size=2, max_size=3).map(tuple),
    )


SALES_ONLY: st.SearchStrategy[frozenset[Family]] = st.just(frozenset({Family.SALES}))
"""Reserves, cancels and reads of what remains."""


def mixes(*always: Family) -> st.SearchStrategy[frozenset[Family]]:
    """Any families, sales and these among them."""
    each = st.tuples(*(st.booleans() for _ in Family))
    return each.map(
        lambda chosen: frozenset(
            family
            for family, wanted in zip(Family, chosen, strict=True)
            if wanted or family in (Family.SALES, *always)
        )
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
def scenarios(draw: st.DrawFn, families: st.SearchStrategy[frozenset[Family]] = SALES_ONLY) -> Scenario:
    """One or two phases of up to four clients, each for one person, who may have several clients."""
    tickets, chosen = draw(stocks()), draw(families)
    program = st.one_of(
        [st.lists(operations(tickets, (person,), chosen), min_size=1, max_size=5) for person in PEOPLE]
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
    either = {each.name: st.booleans() for each in fields(Habits) if each.name != "ids"}
    return st.builds(Habits, ids=st.sampled_from(["unique", "person", "seat"]), **either)


ALL_SHOWN = st.just(Habits())
"""A target that shows everything a law can ask for."""


@st.composite
def evidences(
    draw: st.DrawFn,
    targets: st.SearchStrategy[Habits] | None = None,
    families: st.SearchStrategy[frozenset[Family]] | None = None,
) -> Evidence:
    """Evidence of a correct target, whatever the order, the overlap and the answers lost."""
    scenario = draw(scenarios(mixes() if families is None else families))
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
    """The last reservation answered for each ticket type and person; an engine fills it into cancels."""
    given_holds: dict[tuple[str, str], str] = field(default_factory=dict)
    """The same for holds."""
    made_of: dict[tuple[str, str, str | None], str] = field(default_factory=dict)
    """The reservation that each hold became, by ticket type, person and the name of the hold."""
    notices: dict[str, int] = field(default_factory=dict)
    """What the last notice about each ticket type said, once there was one."""
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
        key = (operation.ticket, operation.person)
        match operation:
            case Cancel(whose=whose):
                owner = whose or operation.person
                return replace(operation, reservation=self.given.get((operation.ticket, owner)))
            case Refund():
                return replace(operation, reservation=self.given.get(key))
            case Confirm() | Release():
                return replace(operation, hold=self.given_holds.get(key))
        return operation

    def _remember(self, operation: Operation, answer: Answer) -> None:
        match operation:
            case Reserve() | Confirm() if answer.reservation is not None:
                self.given[operation.ticket, operation.person] = answer.reservation
            case Hold() if answer.reservation is not None:
                self.given_holds[operation.ticket, operation.person] = answer.reservation
            case ReserveGroup(ticket=ticket, members=members):
                for member, name in zip(members, answer.group, strict=False):
                    self.given[ticket, member] = name

    def _take_effect(self, operation: Operation) -> Answer:
        before, asked = self.state, self._by_inner_name(operation)
        self.state, answer = self._decide(asked)
        self._name_what_is_new(asked, answer)
        self._notify(before)
        if isinstance(operation, Confirm) and answer.reservation is not None:
            self.made_of[operation.ticket, operation.person, operation.hold] = answer.reservation
        self.states.append(self._books())
        return self._as_told(operation, answer)

    def _decide(self, asked: Operation) -> tuple[State, Answer]:
        """Return what comes of it: what the specification says, where right targets are not freer."""
        if not isinstance(asked, JoinWaitlist | LeaveWaitlist) and self._waits_elsewhere(asked):
            return self.state, Answer(Outcome.DUPLICATE, detail="waits for another ticket type")
        after, answer = self.state.apply(asked)
        if isinstance(asked, ReadNotice):
            return after, Answer(Outcome.ACCEPTED, remaining=self.notices.get(asked.ticket))
        if isinstance(asked, JoinWaitlist) and answer.outcome is Outcome.INVALID and self.habits.early_lines:
            forgiven = self.state.follow(asked, Answer(Outcome.ACCEPTED))
            if forgiven:
                return forgiven[0], Answer(Outcome.ACCEPTED)
        return after, answer

    def _waits_elsewhere(self, asked: Operation) -> bool:
        """Say whether somebody who would get something waits for another ticket type of the event."""
        events = {ticket.name: ticket.event for ticket in self.scenario.tickets}
        wanted = asked.members if isinstance(asked, ReserveGroup) else (asked.person,)
        buys = isinstance(asked, Reserve | Hold | ReserveGroup)
        return buys and any(
            place.person in wanted
            and place.ticket != asked.ticket
            and events[place.ticket] == events[asked.ticket]
            for place in self.state.waiting
        )

    def _name_what_is_new(self, asked: Operation, answer: Answer) -> None:
        """Give the target's own names to the rows that came of an operation."""
        for entry in sorted(self.state.standing | self.state.held, key=lambda entry: str(entry.reservation)):
            inner = str(entry.reservation)
            if inner not in self.shown:
                kept = isinstance(asked, Confirm) and self.habits.confirms_keep_ids and asked.hold
                mine = inner == answer.reservation
                self.shown[inner] = self.shown[str(asked.hold)] if kept and mine else self._name(entry)  # type: ignore[union-attr]  # kept: it is a Confirm

    def _notify(self, before: State) -> None:
        for ticket in self.scenario.tickets:
            remains = self.state.remaining(ticket.name)
            if remains != before.remaining(ticket.name):
                self.notices[ticket.name] = remains

    def _by_inner_name(self, operation: Operation) -> Operation:
        """Return the operation with the specification's name for what is there under the target's name."""
        match operation:
            case Cancel(reservation=str(name)) | Refund(reservation=str(name)):
                return replace(operation, reservation=self._inner(self.state.standing, name))
            case Confirm(hold=str(name)) | Release(hold=str(name)):
                return replace(operation, hold=self._inner(self.state.held, name))
        return operation

    def _inner(self, rows: Iterable[Entry], name: str) -> str:
        found = (str(row.reservation) for row in rows if self.shown[str(row.reservation)] == name)
        return next(found, f"no longer {name}")

    def _name(self, entry: Entry) -> str:
        if self.habits.ids == "person":
            return f"{entry.ticket}/{entry.person}"
        if self.habits.ids == "seat":
            used = {self.shown.get(str(row.reservation)) for row in self.state.standing | self.state.held}
            return next(seat for number in range(99) if (seat := f"{entry.ticket}-{number}") not in used)
        return str(entry.reservation)

    def _as_told(self, operation: Operation, answer: Answer) -> Answer:
        """Return the answer in this target's manner of speaking."""
        if self.habits.recognises_repeats:
            answer = self._kindly(operation, answer)
        if not self.habits.answers_ids:
            return replace(answer, reservation=None, group=())
        group = tuple(self.shown[name] for name in answer.group)
        return replace(answer, reservation=self.shown.get(answer.reservation or ""), group=group)

    def _kindly(self, operation: Operation, answer: Answer) -> Answer:
        """Return the answer of a target that recognises what was done already."""
        key = (operation.ticket, operation.person)
        match operation, answer.outcome:
            case Cancel(whose=whose), Outcome.INVALID if whose in (None, operation.person):
                return Answer(Outcome.ACCEPTED)
            case ((Release() | LeaveWaitlist()), Outcome.INVALID):
                return Answer(Outcome.ACCEPTED)
            case Refund(reservation=name), Outcome.INVALID:
                mine = [row for row in self.state.refunded if (row.ticket, row.person) == key]
                if any(name in (None, self.shown[str(row.reservation)]) for row in mine):
                    return Answer(Outcome.ACCEPTED)
            case Reserve(), Outcome.DUPLICATE:
                return self._again(self.state.standing, key, answer)
            case Hold(), Outcome.DUPLICATE:
                return self._again(self.state.held, key, answer)
            case Confirm(hold=name), (Outcome.INVALID | Outcome.DUPLICATE):
                made = self.made_of.get((*key, name))
                return self._again(
                    (row for row in self.state.standing if row.reservation == made), key, answer
                )
        return answer

    def _again(self, rows: Iterable[Entry], key: tuple[str, str], refusal: Answer) -> Answer:
        """Return the answer that was given to what the person has already, or the refusal."""
        mine = (row.reservation for row in rows if (row.ticket, row.person) == key)
        found = next(mine, None)
        return refusal if found is None else Answer(Outcome.ACCEPTED, reservation=found)

    def _books(self) -> Books:
        shows, books = self.habits, self.state.books()
        hidden: dict[str, Any] = {}
        if not shows.counts_sold:
            hidden["sold"] = None
        if not shows.counts_remaining:
            hidden["remaining"] = None
        opening = {ticket.name: ticket.initial for ticket in self.scenario.tickets}
        return Books(
            stock=tuple(
                replace(
                    stock,
                    initial=stock.initial if shows.shows_present_capacity else opening[stock.ticket],
                    **hidden,
                )
                for stock in books.stock
            ),
            entries=self._rows(books.entries, shown=shows.rows),
            holds=self._rows(books.holds, shown=shows.shows_holds),
            waiting=books.waiting if shows.shows_waiting else None,
            refunds=self._rows(books.refunds, shown=shows.shows_refunds),
        )

    def _rows(self, rows: tuple[Entry, ...] | None, *, shown: bool) -> tuple[Entry, ...] | None:
        return tuple(self._row(row) for row in rows or ()) if shown else None

    def _row(self, entry: Entry) -> Entry:
        shown = self.shown[str(entry.reservation)] if self.habits.rows_have_ids else None
        return replace(entry, reservation=shown)
