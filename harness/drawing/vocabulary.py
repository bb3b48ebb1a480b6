"""The vocabulary: which operations can be drawn for a scenario, and whom and what they are about.

What is drawn depends on nothing but what was drawn before. Where it helps to know who holds something, the
specification is asked what one right system would have done by then, never the target: so a target that
changes its answers cannot make Hypothesis draw something else, and shrinking stays sound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from harness.model import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    Proof,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.model.operations import FEATURE_OF
from harness.model.sequential import opening

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from harness.model import Entry, Operation, Scenario, TicketType
    from harness.model.sequential import State

T = TypeVar("T")

PEOPLE = ("ada", "ben", "cleo", "dan")
ORGANIZER = "organizer"
_STOCK = 2
"""Units of a ticket type: the second or third buyer gets the last one."""
_GROUP = 2
_AROUND = (1, 0, -1, 2)
"""Capacities to change to, counted from what is sold and held."""
_LOOKED_AT = 500
"""States in which a way to use a kind of operation is looked for."""
_SELLING = (Reserve, Hold, ReserveGroup)
_GIVING_BACK = (Cancel, Release, Expire, Refund, ChangeCapacity)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a drawn example stands, by the specification."""

    settled: State
    """After the phases that have run."""
    expected: State
    """After those and what is pending, one after the other."""


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """See the module."""

    tickets: tuple[TicketType, ...]
    """The stock, scaled down."""
    kinds: tuple[type[Operation], ...]
    quantities: tuple[int, ...] = (1,)
    sizes: tuple[int, ...] = (_GROUP,)
    """Of groups."""
    proofs: tuple[Proof, ...] = (Proof.NONE,)
    strangers: bool = False
    """Somebody may try to cancel what is somebody else's."""

    @cached_property
    def selling_out(self) -> Sequence[Operation]:
        """The fewest purchases that take everything of a ticket type; none where the people cannot."""
        start = opening(self.tickets)
        on_sale = [each.name for each in self.tickets if each.initial > 0 and not each.closed]
        ways: deque[tuple[State, tuple[Operation, ...]]] = deque([(start, ())])
        seen = {start}
        while ways and len(seen) < _LOOKED_AT:
            state, way = ways.popleft()
            if any(state.remaining(name) <= 0 for name in on_sale):
                return way
            for kind in (each for each in self.kinds if each in _SELLING):
                for operation in self._some(kind, state):
                    after, _ = state.apply(operation)
                    if after not in seen:
                        seen.add(after)
                        ways.append((after, (*way, operation)))
        return ()

    @property
    def can_sell_out(self) -> bool:
        """Whether the people can take everything of some ticket type that is on sale."""
        return bool(self.selling_out)

    def steps(self, most: int) -> int:
        """Return how many rules an example applies: few where nothing is given back, as it is soon over.

        :param most: for a small vocabulary in which things go on; a large one takes longer to be used.
        """
        if any(kind in self.kinds for kind in _GIVING_BACK):
            return max(most, len(self.kinds) * 3 // 2)
        return min(most, 3 + 2 * sum(ticket.initial for ticket in self.tickets))

    def fits(self, kind: type[Operation], moment: Moment) -> bool:
        """Say whether an operation of that kind can come to anything now."""
        if kind in (Reserve, Hold, ReserveGroup, ReadAvailability, ReadNotice, ReadSales, ChangeCapacity):
            return True
        if kind is JoinWaitlist:
            return any(moment.expected.remaining(ticket.name) <= 0 for ticket in self.tickets)
        return any(self._likely(kind, ticket.name, moment) for ticket in self.tickets)

    def operation(
        self, kind: type[Operation], moment: Moment, *, ticket: int, person: int, variation: int
    ) -> Operation:
        """Return an operation of that kind; each number picks among what there is, 0 what is most likely."""
        name = self._ticket(kind, moment, ticket)
        likely = self._likely(kind, name, moment)
        who = self._pick(likely, person)
        match kind:
            case _ if kind is Reserve:
                quantity = self.quantities[variation % len(self.quantities)]
                proof = self.proofs[variation % len(self.proofs)]
                return Reserve(ticket=name, person=who, quantity=quantity, proof=proof)
            case _ if kind is Hold:
                return Hold(ticket=name, person=who, quantity=self._whole(variation))
            case _ if kind is ReserveGroup:
                return self._group(name, likely, person, variation)
            case _ if kind is Cancel:
                return self._cancel(name, who, variation)
            case _ if kind is ChangeCapacity:
                return self._change(name, moment, variation)
            case _:
                return kind(ticket=name, person=who)  # type: ignore[call-arg]  # none of these takes more

    def tours(self) -> Sequence[Sequence[Operation]]:
        """Return sales in which one right system accepts every operation, of every kind one at least.

        One sale where that can be, and another for what cannot be done any more in the one before. A kind
        that cannot be accepted within a few operations of the others is left out.
        """
        tours: list[list[Operation]] = []
        state = None
        for kind in self.kinds:
            way: Sequence[Operation] = () if state is None else self._way_to(kind, state)
            if state is None or not way:
                state = opening(self.tickets)
                way = self._way_to(kind, state)
                tours.append([])
            for operation in way:
                state, _ = state.apply(operation)
            tours[-1] += way
        return [tour for tour in tours if tour]

    def race(self) -> tuple[Sequence[Operation], tuple[Operation, Operation]]:
        """Return two operations that get in each other's way, and what is to be done before them.

        For the last units where something can sell out: whoever comes first takes them.
        """
        way = self.selling_out
        state = opening(self.tickets)
        for operation in way[:-1]:
            state, _ = state.apply(operation)
        moment = Moment(state, state)
        first = way[-1] if way else self.operation(self.kinds[0], moment, ticket=0, person=0, variation=0)
        number = next(at for at, each in enumerate(self.tickets) if each.name == first.ticket)
        second = self.operation(type(first), moment, ticket=number, person=1, variation=0)
        return way[:-1], (first, second)

    def _way_to(self, kind: type[Operation], start: State) -> Sequence[Operation]:
        """Return the fewest operations after which one of that kind is accepted, that one included."""
        ways: deque[tuple[State, tuple[Operation, ...]]] = deque([(start, ())])
        seen = {start}
        while ways and len(seen) < _LOOKED_AT:
            state, way = ways.popleft()
            for operation in self._some(kind, state):
                if state.apply(operation)[1].outcome is Outcome.ACCEPTED:
                    return (*way, operation)
            for operation in (each for other in self.kinds for each in self._some(other, state)):
                after, _ = state.apply(operation)
                if after not in seen:
                    seen.add(after)
                    ways.append((after, (*way, operation)))
        return ()

    def _some(self, kind: type[Operation], state: State) -> Iterable[Operation]:
        """Return a few operations of that kind, the most likely first."""
        moment = Moment(state, state)
        return dict.fromkeys(
            self.operation(kind, moment, ticket=ticket, person=0, variation=variation)
            for ticket in range(len(self.tickets))
            for variation in (0, 2)
        )

    def _ticket(self, kind: type[Operation], moment: Moment, number: int) -> str:
        """Return a ticket type of which there is something to do, if there is one."""
        names = [ticket.name for ticket in self.tickets]
        if kind is JoinWaitlist:
            good = [name for name in names if moment.expected.remaining(name) <= 0]
        elif kind in _SELLING:
            good = [name for name in names if moment.settled.remaining(name) > 0]
        else:
            good = [name for name in names if self._likely(kind, name, moment)]
        chosen = good or names
        return chosen[number % len(chosen)]

    def _likely(self, kind: type[Operation], ticket: str, moment: Moment) -> Sequence[str]:
        """Return who can do that with some success, in the order of the people.

        What is pending counts for nothing that it takes away, since whoever asks at the same time does not
        know of it: two may well cancel the same reservation.
        """
        before, after = moment.settled, moment.expected
        if kind in (Cancel, Refund):
            return _people([*before.standing, *after.standing], ticket)
        if kind in (Confirm, Release, Expire):
            return _people([*before.held, *after.held], ticket)
        if kind is LeaveWaitlist:
            return _people([*before.waiting, *after.waiting], ticket)
        if kind in (Reserve, Hold, ReserveGroup, JoinWaitlist):
            event = next(each.event for each in self.tickets if each.name == ticket)
            names = {each.name for each in self.tickets if each.event == event}
            taken = {entry.person for entry in (*before.standing, *before.held) if entry.ticket in names}
            return [person for person in PEOPLE if person not in taken]
        return PEOPLE

    def _pick(self, likely: Sequence[str], number: int) -> str:
        """Return one of the likely, and now and then anybody."""
        if likely and number < len(PEOPLE):
            return likely[number % len(likely)]
        return PEOPLE[number % len(PEOPLE)]

    def _whole(self, variation: int) -> int:
        good = [quantity for quantity in self.quantities if quantity > 0] or [1]
        return good[variation % len(good)]

    def _group(self, ticket: str, likely: Sequence[str], person: int, variation: int) -> ReserveGroup:
        size = self.sizes[variation % len(self.sizes)]
        people = [*likely, *(each for each in PEOPLE if each not in likely)]
        members = tuple(people[(person + place) % len(people)] for place in range(size))
        return ReserveGroup(ticket=ticket, person=members[0], members=members)

    def _cancel(self, ticket: str, who: str, variation: int) -> Cancel:
        if self.strangers and variation % 4 == 1:
            stranger = PEOPLE[(PEOPLE.index(who) + 1) % len(PEOPLE)]
            return Cancel(ticket=ticket, person=stranger, whose=who)
        return Cancel(ticket=ticket, person=who)

    def _change(self, ticket: str, moment: Moment, variation: int) -> ChangeCapacity:
        state = moment.settled
        capacity = next(each.initial for each in state.tickets if each.name == ticket)
        taken = capacity - state.remaining(ticket)
        wanted = max(0, taken + _AROUND[variation % len(_AROUND)])
        return ChangeCapacity(ticket=ticket, person=ORGANIZER, capacity=wanted)


def vocabulary_of(scenario: Scenario, supports: Set[Feature]) -> Vocabulary:
    """Return what may be drawn for a scenario: its own kinds of operations, or all that the target supports.

    :param supports: what the target can do.
    """
    operations = tuple(scenario.operations())
    used = {type(operation) for operation in operations}
    if scenario.free:
        used = {kind for kind, feature in FEATURE_OF.items() if feature in supports}
    quantities = _distinct(
        operation.quantity for operation in operations if isinstance(operation, Reserve | Hold)
    )
    if scenario.free and Feature.QUANTITY in supports:
        quantities = _distinct((*quantities, 1, 2))
    sizes = _distinct(len(each.members) for each in operations if isinstance(each, ReserveGroup))
    if ReserveGroup in used:
        sizes = sizes or (_GROUP,)
    most = max((*quantities, *sizes, 1))
    # Who asks for more than is left is sold out, whoever it is: to be refused for another reason, what is
    # wanted has to be there.
    enough = 2 * most if Outcome.DUPLICATE in scenario.reaches else most + 1
    return Vocabulary(
        tickets=tuple(_scaled(ticket, max(enough, _STOCK)) for ticket in scenario.tickets),
        kinds=tuple(kind for kind in FEATURE_OF if kind in used),
        quantities=quantities or (1,),
        sizes=tuple(min(size, len(PEOPLE)) for size in sizes) or (_GROUP,),
        proofs=_distinct(each.proof for each in operations if isinstance(each, Reserve)) or (Proof.NONE,),
        strangers=Cancel in used and Feature.OWNERSHIP in supports,
    )


def _scaled(ticket: TicketType, enough: int) -> TicketType:
    """Return a ticket type of which the second or third buyer gets the last unit."""
    return replace(ticket, initial=min(ticket.initial, enough))


def _distinct(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _people(entries: Iterable[Entry], ticket: str) -> Sequence[str]:
    found = {entry.person for entry in entries if entry.ticket == ticket}
    return [person for person in PEOPLE if person in found]
