"""Small random histories: right ones by construction, ones with something wrong planted, and mutated ones.

A right history is what clients see of a target that behaves like the specification. Everything a client asks
takes effect at one moment between invocation and completion; the answers are those of the specification in
the order of these moments. A lost answer may have taken effect at any later moment, or never.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from harness.model import (
    Answer,
    Call,
    Cancel,
    ChangeCapacity,
    Confirm,
    Expire,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Operation,
    Outcome,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
    TicketType,
)
from harness.model.sequential import opening

if TYPE_CHECKING:
    from harness.model.sequential import State

PEOPLE = ("ada", "ben", "cleo", "dan", "eve", "fay")
NEWCOMER = "newcomer"
"""Nobody in a drawn history is called this."""


@dataclass(frozen=True)
class History:
    """Ticket types and what was asked and answered about them."""

    tickets: tuple[TicketType, ...]
    calls: tuple[Call, ...]


_LOST = Answer(Outcome.UNKNOWN)


@dataclass
class _Asked:
    """One call before its answer is known."""

    client: str
    operation: Operation
    invoked: int
    effect: int | None
    completed: int | None
    lost: bool
    answer: Answer = _LOST


def seeded(number: int) -> Random:
    """Return the source of what is drawn as number so much."""
    return Random(number)  # noqa: S311  # nobody has to guess it


def right(random: Random, *, units: int = 1, line: bool = False) -> History:
    """Draw a right history of four to ten calls.

    :param units: the most that are asked for at once.
    :param line: people wait in line too.
    """
    tickets = tuple(
        TicketType(name=name, initial=random.randint(0, 3))
        for name in ("general", "balcony")[: random.choice([1, 1, 2])]
    )
    asked = [
        each
        for number in range(random.randint(1, 4))
        for each in _client(random, f"client-{number}", tickets, units, line)
    ]
    state: State = opening(tickets)
    for each in sorted(asked, key=lambda each: -1 if each.effect is None else each.effect):
        if each.effect is not None:
            each.operation = _named(random, each, asked, state)
            state, answer = state.apply(each.operation)
            each.answer = _LOST if each.lost else answer
    return History(tickets, _calls(asked))


def planted(random: Random, history: History) -> History:
    """Put something in that no order explains, whatever the rest."""
    first = min((call.invoked for call in history.calls), default=0)
    last = max((max(call.invoked, call.completed or 0) for call in history.calls), default=0)
    ticket = history.tickets[0]
    capacities = [
        call.operation.capacity for call in history.calls if isinstance(call.operation, ChangeCapacity)
    ]
    newcomer = Reserve(ticket=ticket.name, person=NEWCOMER)
    read = ReadAvailability(ticket=ticket.name, person=NEWCOMER)
    begin, end = random.choice([(first - 3, first - 1), (last + 1, last + 3), (first + 1, last + 2)])
    most = max([ticket.initial, *capacities])
    wrong: list[tuple[Operation, Answer, int, int]] = [
        (read, Answer(Outcome.ACCEPTED, remaining=most + 1), begin, end),
        (newcomer, Answer(Outcome.DUPLICATE), begin, end),
        (read, Answer(Outcome.ACCEPTED, remaining=ticket.initial + 1), first - 3, first - 1),
        (replace(newcomer, quantity=most + 1), Answer(Outcome.ACCEPTED), begin, end),
        (Cancel(ticket=ticket.name, person=NEWCOMER, whose="ada"), Answer(Outcome.ACCEPTED), begin, end),
    ]
    if ticket.initial:
        wrong.append((newcomer, Answer(Outcome.SOLD_OUT), first - 3, first - 1))
    operation, answer, invoked, completed = random.choice(wrong)
    call = Call(
        index=-1,
        client=NEWCOMER,
        phase=0,
        operation=operation,
        answer=answer,
        invoked=invoked,
        completed=completed,
    )
    return replace(history, calls=tuple(sorted([*history.calls, call], key=lambda call: call.invoked)))


def mutated(random: Random, history: History) -> History:
    """Change one or two answers or times; what comes out may be right or wrong."""
    calls = list(history.calls)
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(calls))
        calls[at] = random.choice([_other_outcome, _other_number, _shorter, _moved])(random, calls[at])
    return replace(history, calls=tuple(sorted(calls, key=lambda call: call.invoked)))


def _other_outcome(random: Random, call: Call) -> Call:
    outcome = random.choice(
        [Outcome.ACCEPTED, Outcome.SOLD_OUT, Outcome.DUPLICATE, Outcome.UNKNOWN, Outcome.INVALID]
    )
    return replace(call, answer=replace(call.answer, outcome=outcome))


def _other_number(random: Random, call: Call) -> Call:
    by = random.choice([-1, 1])
    remaining, sold = call.answer.remaining, call.answer.sold
    return replace(
        call,
        answer=replace(
            call.answer,
            remaining=None if remaining is None else remaining + by,
            sold=None if sold is None else sold + by,
        ),
    )


def _shorter(random: Random, call: Call) -> Call:
    if call.completed is None:
        return call
    begin = random.randint(call.invoked, call.completed)
    return replace(call, invoked=begin, completed=random.randint(begin, call.completed))


def _moved(random: Random, call: Call) -> Call:
    by = random.randint(-8, 8)
    completed = None if call.completed is None else call.completed + by
    return replace(call, invoked=call.invoked + by, completed=completed)


def _client(
    random: Random, name: str, tickets: tuple[TicketType, ...], units: int, line: bool
) -> list[_Asked]:
    """Draw what one client asks, one after the other, for several people."""
    clock, asked = random.randint(0, 10), []
    hasty = random.choice([2, 6, 15])
    people = random.sample(PEOPLE, random.randint(1, 3))
    for _ in range(random.randint(1, 4)):
        invoked = clock
        effect = invoked + random.randint(0, hasty)
        completed = effect + random.randint(1, hasty)
        clock = completed + random.randint(0, 4)
        lost = random.random() < 0.12
        happened: int | None = effect
        if lost:
            happened = random.choice([None, effect, effect + random.randint(0, 40)])
        operation = _operation(random, random.choice(tickets).name, random.choice(people), units, line)
        ends = random.choice([completed, None]) if lost else completed
        asked.append(_Asked(name, operation, invoked, happened, ends, lost))
    return asked


def _operation(random: Random, ticket: str, person: str, units: int, line: bool) -> Operation:
    quantity = random.randint(1, units)
    likely: list[Operation] = [
        Reserve(ticket=ticket, person=person, quantity=quantity),
        Reserve(ticket=ticket, person=person),
        Cancel(ticket=ticket, person=person),
        Cancel(ticket=ticket, person=person),
        ReadAvailability(ticket=ticket, person=person),
        ReadAvailability(ticket=ticket, person=person),
    ]
    rare: list[Operation] = [
        Hold(ticket=ticket, person=person, quantity=quantity),
        Confirm(ticket=ticket, person=person),
        Release(ticket=ticket, person=person),
        Expire(ticket=ticket, person=person),
        Refund(ticket=ticket, person=person),
        ReadNotice(ticket=ticket, person=person),
        ReadSales(ticket=ticket, person=person),
        ReserveGroup(ticket=ticket, person=person, members=tuple(random.sample(PEOPLE, 2))),
        ChangeCapacity(ticket=ticket, person="organizer", capacity=random.randint(0, 4)),
    ]
    if line:
        rare += [JoinWaitlist(ticket=ticket, person=person), LeaveWaitlist(ticket=ticket, person=person)]
    return random.choice(likely if random.random() < 0.75 else rare)


def _named(random: Random, asked: _Asked, others: list[_Asked], state: State) -> Operation:
    """Fill in the name of a reservation, as a client does that has heard it, or leave it out."""
    operation = asked.operation
    if not isinstance(operation, (Cancel, Refund)) or random.random() < 0.5:
        return operation
    heard = [
        other.answer.reservation
        for other in others
        if other.answer.reservation is not None
        and other.completed is not None
        and other.completed <= asked.invoked
        and (other.operation.ticket, other.operation.person) == (operation.ticket, operation.person)
        and isinstance(other.operation, (Reserve, Confirm))
    ]
    return replace(operation, reservation=heard[-1]) if heard else operation


def _calls(asked: list[_Asked]) -> tuple[Call, ...]:
    ordered = sorted(asked, key=lambda each: each.invoked)
    return tuple(
        Call(
            index=index,
            client=each.client,
            phase=0,
            operation=each.operation,
            answer=each.answer,
            invoked=each.invoked,
            completed=each.completed,
        )
        for index, each in enumerate(ordered)
    )
