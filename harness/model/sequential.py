"""The sequential specification: what a ticketing system does when one operation follows the other.

Under concurrency, and with outcomes that are not known, laws and engines ask whether a target's answers can
be explained by *some* order of these operations. Everything here is pure and deterministic: equal states and
operations give equal results. :meth:`State.apply` says what one right system would do; :meth:`State.follow`
says whether an answer that some target gave is right as well, since right systems differ in small things.

What is asked for is refused for the first of these reasons that holds:

1. ``invalid``: its payment proof was refused or cut off, so that the buyer never got as far as asking;
2. ``invalid``: there is no such ticket type, or it asks for fewer than one, or for one person twice;
3. ``duplicate``: one of the people has a standing reservation for the event, or something is held for them;
   who wants to wait in line waits in it already;
4. ``invalid``: the sale of the ticket type has ended;
5. ``sold_out``: fewer units remain than it asks for. For a place in the line the other way round:
   ``invalid`` while anything remains.

A cancel or a refund is refused as ``invalid`` when the person has no such standing reservation, confirm and
release when nothing is held for them, leaving the line when they do not stand in it, a change of capacity
below what is sold and held. Reads and expiry of a ticket type that does not exist are ``invalid``.

What comes back, by cancel, refund, release, expiry or a greater capacity, goes at once to those who wait, the
first in line first, as a standing reservation. Who has something at the event by then is passed over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from harness.model.answers import Answer, Outcome
from harness.model.evidence import Books, Entry, Stock
from harness.model.operations import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.model.operations import Operation
    from harness.model.scenario import TicketType

_DONE = Answer(Outcome.ACCEPTED)
_SOMETHING_REMAINS = Answer(Outcome.INVALID, detail="something remains")
_OURS = "#"
"""Between person and number in a name that the target did not give."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything the specification remembers. Hashable, so that a search can recognise it again.

    It does not depend on the order in which different people were served, only on the result.
    """

    tickets: tuple[TicketType, ...]
    """With their present capacity as ``initial``."""
    standing: frozenset[Entry] = frozenset()
    held: frozenset[Entry] = frozenset()
    waiting: tuple[Entry, ...] = ()
    """The first in line first, over all ticket types."""
    refunded: frozenset[Entry] = frozenset()
    issued: frozenset[str] = frozenset()
    """Every reservation or hold id ever given out; none is given out twice."""

    def apply(self, operation: Operation) -> tuple[State, Answer]:
        """Return the state after the operation, and its true answer.

        A client that disconnects does not see that answer; the operation takes effect all the same.
        """
        refusal = next(self._refusals(operation), None)
        if refusal is not None:
            return self, refusal
        return self._done(operation, _DONE)

    def follow(self, operation: Operation, answer: Answer) -> tuple[State, ...]:
        """Return the states that the specification may be in after that answer; none when it is wrong.

        More forgiving than :meth:`apply`, where right systems differ: any true reason for a refusal will do,
        ``invalid`` and ``retryable`` need none (a target may have rules of its own, and nothing happened);
        something asked for again, or taken back that is not there, may be accepted if nothing comes of it; a
        hold of one's own need not stand in the way of a reservation, a place in the line may; and the line
        need not be refused while something remains. After ``unknown`` it has happened or not.
        """
        match answer.outcome:
            case Outcome.ACCEPTED:
                return self._accepted(operation, answer)
            case Outcome.UNKNOWN:
                happened = self._accepted(operation, _without_numbers(answer))
                return (self, *(state for state in happened if state != self))
            case Outcome.RETRYABLE | Outcome.INVALID:
                return (self,)
            case _:
                true = any(refusal.outcome is answer.outcome for refusal in self._refusals(operation))
                true = true or (answer.outcome is Outcome.DUPLICATE and self._waits_already(operation))
                return (self,) if true else ()

    def remaining(self, ticket: str) -> int:
        """Return how many units of a ticket type can still be sold.

        :raises KeyError: when there is no such ticket type.
        """
        return self._named()[ticket].initial - _sum(self.standing, ticket) - _sum(self.held, ticket)

    def sold(self, ticket: str) -> int:
        """Return how many units of a ticket type are sold."""
        return _sum(self.standing, ticket)

    def books(self) -> Books:
        """Return the numbers and the rows, as a target would show them."""
        return Books(
            stock=tuple(map(self._stock, self.tickets)),
            entries=_sorted(self.standing),
            holds=_sorted(self.held),
            waiting=self.waiting,
            refunds=_sorted(self.refunded),
        )

    def shows(self, books: Books) -> bool:
        """Say whether a target in this state can show these books; what they leave out is not compared."""
        mine = {ticket.name: self._stock(ticket) for ticket in self.tickets}
        return (
            all(_same_numbers(mine[stock.ticket], stock) for stock in books.stock if stock.ticket in mine)
            and _same_rows(self.standing, books.entries)
            and _same_rows(self.held, books.holds)
            and _same_rows(self.refunded, books.refunds)
            and (books.waiting is None or _line(self.waiting) == _line(books.waiting))
        )

    def _stock(self, ticket: TicketType) -> Stock:
        return Stock(
            ticket=ticket.name,
            initial=ticket.initial,
            remaining=self.remaining(ticket.name),
            sold=self.sold(ticket.name),
            held=_sum(self.held, ticket.name),
        )

    def _refusals(self, operation: Operation) -> Iterator[Answer]:
        """Yield every reason to refuse, in the order given above."""
        ticket = self._named().get(operation.ticket)
        if ticket is None:
            yield _invalid("no such ticket type")
            return
        match operation:
            case Reserve() | Hold() | ReserveGroup():
                yield from self._refusals_to_sell(operation, ticket)
            case JoinWaitlist():
                if self._occupied(operation.person, ticket.event) or self._waits(operation.person, ticket):
                    yield Answer(Outcome.DUPLICATE, detail="waits already, or needs not")
                if ticket.closed:
                    yield _invalid("the sale has ended")
                if self.remaining(ticket.name) > 0:
                    yield _SOMETHING_REMAINS
            case LeaveWaitlist():
                if not any(_is(entry, operation) for entry in self.waiting):
                    yield _invalid("does not wait")
            case Cancel() | Refund():
                if self._reservation(operation) is None:
                    yield _invalid("no such standing reservation")
            case Confirm():
                if self._hold(operation) is None:
                    yield _invalid("no such hold")
                if self._stands(operation.person, ticket.event):
                    yield Answer(Outcome.DUPLICATE, detail="one reservation for one person and event")
            case Release():
                if self._hold(operation) is None:
                    yield _invalid("no such hold")
            case ChangeCapacity():
                taken = _sum(self.standing, ticket.name) + _sum(self.held, ticket.name)
                if operation.capacity < taken:
                    yield _invalid("more than that is sold and held")

    def _refusals_to_sell(
        self, wanted: Reserve | Hold | ReserveGroup, ticket: TicketType
    ) -> Iterator[Answer]:
        if isinstance(wanted, Reserve) and wanted.in_vain:
            yield _invalid("the payment proof was not accepted")
        people, quantity = _asked_for(wanted)
        if quantity < 1 or len(set(people)) != len(people):
            yield _invalid("fewer than one asked for, or somebody twice")
        if any(self._occupied(person, ticket.event) for person in people):
            yield Answer(Outcome.DUPLICATE, detail="one reservation for one person and event")
        if ticket.closed:
            yield _invalid("the sale has ended")
        if self.remaining(ticket.name) < quantity:
            yield Answer(Outcome.SOLD_OUT, remaining=self.remaining(ticket.name))

    def _accepted(self, operation: Operation, answer: Answer) -> tuple[State, ...]:
        """Return what may be after the operation was accepted with that answer."""
        operation = self._heard(operation)
        again = (self,) if self._is_repetition(operation, answer) else ()
        if answer.reservation in self.issued and again:
            return again
        if any(not self._is_pardoned(operation, refusal) for refusal in self._refusals(operation)):
            return again
        after, mine = self._done(operation, answer)
        if isinstance(operation, ReadAvailability | ReadNotice) and answer.remaining is not None:
            return (after,) if answer.remaining == mine.remaining else ()
        if isinstance(operation, ReadSales) and answer.sold is not None:
            return (after,) if answer.sold == mine.sold else ()
        return (*again, after)

    def _is_repetition(self, operation: Operation, answer: Answer) -> bool:
        """Say whether nothing was left to do: it was done before, or what it takes away is not there."""
        match operation:
            case Reserve() | Confirm() | Hold():
                rows = self.held if isinstance(operation, Hold) else self.standing
                return any(_is(entry, operation) and _may_be(entry, answer.reservation) for entry in rows)
            case ReserveGroup(ticket=ticket, members=members):
                names = answer.group or (None,) * len(members)
                there = {entry.person: entry for entry in self.standing if entry.ticket == ticket}
                pairs = zip(members, names, strict=False)
                return bool(members) and all(
                    person in there and _may_be(there[person], name) for person, name in pairs
                )
            case JoinWaitlist():
                return any(_is(entry, operation) for entry in self.waiting)
            case Cancel():
                mine = operation.whose in (None, operation.person)
                return mine and self._reservation(operation) is None
            case Refund():
                paid = any(
                    _is(entry, operation) and operation.reservation in (None, entry.reservation)
                    for entry in self.refunded
                )
                return paid and self._reservation(operation) is None
            case Release():
                return self._hold(operation) is None
            case LeaveWaitlist():
                return not any(_is(entry, operation) for entry in self.waiting)
            case _:
                return False

    def _waits_already(self, operation: Operation) -> bool:
        """Say whether somebody waits in line already, which a right system may take for a reservation."""
        ticket = self._named().get(operation.ticket)
        return (
            isinstance(operation, Reserve | Hold | ReserveGroup)
            and ticket is not None
            and any(self._waits(person, ticket) for person in _asked_for(operation)[0])
        )

    def _is_pardoned(self, operation: Operation, refusal: Answer) -> bool:
        """Say whether a right system may accept this all the same."""
        if refusal.outcome is Outcome.DUPLICATE and isinstance(operation, Reserve | Hold | ReserveGroup):
            event = self._named()[operation.ticket].event
            return not any(self._stands(person, event) for person in _asked_for(operation)[0])
        return refusal is _SOMETHING_REMAINS

    def _done(self, operation: Operation, answer: Answer) -> tuple[State, Answer]:
        """Return the state after an operation that nothing speaks against, with names as answered."""
        ticket = operation.ticket
        match operation:
            case Reserve():
                entry = self._entry(ticket, operation.person, operation.quantity, answer.reservation)
                after = self._stand(entry)
                return after, after._told(entry)
            case ReserveGroup():
                return self._reserve_group(operation, answer)
            case Hold():
                entry = self._entry(ticket, operation.person, operation.quantity, answer.reservation)
                after = replace(self, held=self.held | {entry}, issued=self.issued | {str(entry.reservation)})
                return after, after._told(entry)
            case Confirm():
                hold = self._hold(operation)
                if hold is None:
                    raise AssertionError("it was looked for")
                entry = self._entry(ticket, operation.person, hold.quantity, answer.reservation)
                after = replace(self, held=self.held - {hold})._stand(entry)
                return after, after._told(entry)
            case Release():
                return replace(self, held=self.held - {self._hold(operation)})._promoted(ticket), _DONE
            case Expire():
                over = {entry for entry in self.held if _is(entry, operation)}
                return replace(self, held=self.held - over)._promoted(ticket), _DONE
            case Cancel() | Refund():
                return self._give_back(operation)
            case JoinWaitlist():
                place = Entry(ticket=ticket, person=operation.person)
                return replace(self, waiting=(*self.waiting, place))._promoted(ticket), _DONE
            case LeaveWaitlist():
                line = tuple(entry for entry in self.waiting if not _is(entry, operation))
                return replace(self, waiting=line), _DONE
            case ChangeCapacity():
                tickets = tuple(
                    replace(each, initial=operation.capacity) if each.name == ticket else each
                    for each in self.tickets
                )
                return replace(self, tickets=tickets)._promoted(ticket), _DONE
            case ReadAvailability() | ReadNotice():
                return self, Answer(Outcome.ACCEPTED, remaining=self.remaining(ticket))
            case ReadSales():
                return self, Answer(Outcome.ACCEPTED, sold=self.sold(ticket))

    def _reserve_group(self, operation: ReserveGroup, answer: Answer) -> tuple[State, Answer]:
        names: list[str | None] = [None] * len(operation.members)
        if len(answer.group) == len(names):
            names = list(answer.group)
        after = self
        given = []
        for member, name in zip(operation.members, names, strict=True):
            entry = after._entry(operation.ticket, member, 1, name)
            given.append(str(entry.reservation))
            after = after._stand(entry)
        told = Answer(Outcome.ACCEPTED, group=tuple(given), remaining=after.remaining(operation.ticket))
        return after, told

    def _give_back(self, operation: Cancel | Refund) -> tuple[State, Answer]:
        entry = self._reservation(operation)
        if entry is None:
            raise AssertionError("it was looked for")
        after = replace(self, standing=self.standing - {entry})
        if isinstance(operation, Refund):
            after = replace(after, refunded=after.refunded | {entry})
        after = after._promoted(operation.ticket)
        return after, after._told(entry)

    def _promoted(self, ticket: str) -> State:
        """Return the state in which those who wait have got what remains.

        Who has something at the event by now is passed over, and waits no longer.
        """
        if not any(place.ticket == ticket for place in self.waiting):
            return self
        state, left = self, self.remaining(ticket)
        for place in self.waiting:
            if left <= 0:
                break
            if place.ticket == ticket:
                state = replace(state, waiting=tuple(each for each in state.waiting if each is not place))
                if not state._occupied(place.person, state._named()[ticket].event):
                    state, left = state._stand(state._entry(ticket, place.person, 1, None)), left - 1
        return state

    def _stand(self, entry: Entry) -> State:
        return replace(self, standing=self.standing | {entry}, issued=self.issued | {str(entry.reservation)})

    def _entry(self, ticket: str, person: str, quantity: int, name: str | None) -> Entry:
        if name is None:
            ours = (f"{person}{_OURS}{number}" for number in count(1))
            name = next(fresh for fresh in ours if fresh not in self.issued)
        return Entry(ticket=ticket, person=person, quantity=quantity, reservation=name)

    def _told(self, entry: Entry) -> Answer:
        return Answer(Outcome.ACCEPTED, reservation=entry.reservation, remaining=self.remaining(entry.ticket))

    def _reservation(self, operation: Cancel | Refund) -> Entry | None:
        if isinstance(operation, Cancel) and operation.whose not in (None, operation.person):
            return None
        return self._find(self.standing, operation, operation.reservation)

    def _hold(self, operation: Confirm | Release) -> Entry | None:
        return self._find(self.held, operation, operation.hold)

    def _find(self, rows: Iterable[Entry], operation: Operation, name: str | None) -> Entry | None:
        """Return the person's row of that name, if there is one."""
        mine = [entry for entry in rows if _is(entry, operation) and name in (None, entry.reservation)]
        return min(mine, key=lambda entry: str(entry.reservation), default=None)

    def _heard(self, operation: Operation) -> Operation:
        """Leave out a name that was never given here, if it can be that of a row whose name was not heard.

        Nobody hears the name of what they got while waiting in line, or when the answer was lost.
        """
        match operation:
            case Cancel(reservation=str(name)) | Refund(reservation=str(name)):
                rows = self.standing
                nameless: Operation = replace(operation, reservation=None)
            case Confirm(hold=str(name)) | Release(hold=str(name)):
                rows = self.held
                nameless = replace(operation, hold=None)
            case _:
                return operation
        unheard = any(_is(entry, operation) and _is_ours(entry) for entry in rows)
        return nameless if name not in self.issued and unheard else operation

    def _occupied(self, person: str, event: str) -> bool:
        return self._stands(person, event) or self._has(self.held, person, event)

    def _stands(self, person: str, event: str) -> bool:
        return self._has(self.standing, person, event)

    def _waits(self, person: str, ticket: TicketType) -> bool:
        return self._has(self.waiting, person, ticket.event)

    def _has(self, rows: Iterable[Entry], person: str, event: str) -> bool:
        named = self._named()
        return any(entry.person == person and named[entry.ticket].event == event for entry in rows)

    def _named(self) -> dict[str, TicketType]:
        return {ticket.name: ticket for ticket in self.tickets}


def opening(tickets: Iterable[TicketType]) -> State:
    """Return the state when the sale opens: nothing sold, nobody holding anything."""
    return State(tuple(tickets))


def _asked_for(wanted: Reserve | Hold | ReserveGroup) -> tuple[tuple[str, ...], int]:
    """Return for whom something is asked, and how much of it."""
    if isinstance(wanted, ReserveGroup):
        return wanted.members, len(wanted.members)
    return (wanted.person,), wanted.quantity


def _is(entry: Entry, operation: Operation) -> bool:
    return (entry.ticket, entry.person) == (operation.ticket, operation.person)


def _may_be(entry: Entry, name: str | None) -> bool:
    """Say whether the row may be what was answered with that name: one that nobody heard may have any."""
    return name in (None, entry.reservation) or _is_ours(entry)


def _is_ours(entry: Entry) -> bool:
    return str(entry.reservation).startswith(f"{entry.person}{_OURS}")


def _sum(rows: Iterable[Entry], ticket: str) -> int:
    return sum(entry.quantity for entry in rows if entry.ticket == ticket)


def _sorted(rows: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(rows, key=lambda entry: str(entry.reservation)))


def _without_numbers(answer: Answer) -> Answer:
    return Answer(Outcome.ACCEPTED, reservation=answer.reservation, group=answer.group)


def _invalid(detail: str) -> Answer:
    return Answer(Outcome.INVALID, detail=detail)


def _same_numbers(mine: Stock, shown: Stock) -> bool:
    return (
        shown.remaining in (None, mine.remaining)
        and shown.sold in (None, mine.sold)
        and shown.held == mine.held
    )


def _same_rows(mine: Iterable[Entry], shown: Iterable[Entry] | None) -> bool:
    return shown is None or Counter(_line(mine)) == Counter(_line(shown))


def _line(rows: Iterable[Entry]) -> list[tuple[str, str, int]]:
    """Return the rows without their names, which the target may have chosen otherwise."""
    return [(entry.ticket, entry.person, entry.quantity) for entry in rows]
