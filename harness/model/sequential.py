"""The sequential specification: what a ticketing system does when it serves one operation at a time.

This is the yardstick. An implementation is right when whatever happened at the same time could have
happened in some order, and this is what would have happened in that order. Pure and deterministic: equal
states and operations give equal results.

A reserve is refused for the first of these reasons that holds:

1. ``invalid``: its payment proof was refused or cut off, so that the buyer never got as far as asking;
2. ``invalid``: there is no such ticket type, or it asks for fewer than one;
3. ``duplicate``: the person has a standing reservation for the event;
4. ``invalid``: the sale of the ticket type has ended;
5. ``sold_out``: fewer units remain than it asks for.

A cancel is refused as ``invalid`` when the person has no such standing reservation. Reading availability
of a ticket type that does not exist is ``invalid``; nothing else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from harness.model.answers import Answer, Outcome
from harness.model.evidence import Books, Entry, Stock
from harness.model.operations import Cancel, Proof, ReadAvailability, Reserve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.operations import Operation
    from harness.model.scenario import TicketType


@dataclass(frozen=True, slots=True)
class State:
    """Everything the specification remembers. Hashable, so that a search can recognise it again.

    It does not depend on the order in which different people were served, only on the result.
    """

    tickets: tuple[TicketType, ...]
    standing: frozenset[Entry] = frozenset()
    issued: frozenset[str] = frozenset()
    """Every reservation id ever given out; none is given out twice."""

    def apply(self, operation: Operation) -> tuple[State, Answer]:
        """Return the state after the operation, and its true answer.

        A client that disconnects does not see that answer; the operation takes effect all the same.
        """
        match operation:
            case Reserve():
                return self._reserve(operation)
            case Cancel():
                return self._cancel(operation)
            case ReadAvailability():
                return self, self._availability(operation)

    def remaining(self, ticket: str) -> int:
        """Return how many units of a ticket type can still be sold.

        :raises KeyError: when there is no such ticket type.
        """
        return self._named()[ticket].initial - self._sold(ticket)

    def books(self) -> Books:
        """Return the numbers and the rows, as a target would show them."""
        stock = tuple(
            Stock(
                ticket=ticket.name,
                initial=ticket.initial,
                remaining=self.remaining(ticket.name),
                sold=self._sold(ticket.name),
            )
            for ticket in self.tickets
        )
        return Books(
            stock=stock, entries=tuple(sorted(self.standing, key=lambda entry: str(entry.reservation)))
        )

    def _reserve(self, wanted: Reserve) -> tuple[State, Answer]:
        refusal = self._refusal(wanted)
        if refusal is not None:
            return self, refusal
        entry = Entry(
            ticket=wanted.ticket,
            person=wanted.person,
            quantity=wanted.quantity,
            reservation=self._fresh_id(wanted.person),
        )
        after = replace(self, standing=self.standing | {entry}, issued=self.issued | {str(entry.reservation)})
        return after, after._accepted(entry)

    def _refusal(self, wanted: Reserve) -> Answer | None:
        """Return why the reserve is refused, in the order given above, or ``None`` when it is not."""
        ticket = self._named().get(wanted.ticket)
        if wanted.proof in (Proof.REFUSED, Proof.CUT):
            return Answer(Outcome.INVALID, detail="the payment proof was not accepted")
        if ticket is None or wanted.quantity < 1:
            return Answer(Outcome.INVALID, detail="no such ticket type, or fewer than one asked for")
        if self._holds_one(wanted.person, ticket.event):
            return Answer(Outcome.DUPLICATE, detail="one reservation for one person and event")
        if ticket.closed:
            return Answer(Outcome.INVALID, detail="the sale has ended")
        if self.remaining(ticket.name) < wanted.quantity:
            return Answer(Outcome.SOLD_OUT, remaining=self.remaining(ticket.name))
        return None

    def _cancel(self, wanted: Cancel) -> tuple[State, Answer]:
        for entry in self.standing:
            mine = (entry.ticket, entry.person) == (wanted.ticket, wanted.person)
            if mine and wanted.reservation in (None, entry.reservation):
                after = replace(self, standing=self.standing - {entry})
                return after, after._accepted(entry)
        return self, Answer(Outcome.INVALID, detail="no such standing reservation")

    def _availability(self, asked: ReadAvailability) -> Answer:
        if asked.ticket not in self._named():
            return Answer(Outcome.INVALID, detail="no such ticket type")
        return Answer(Outcome.ACCEPTED, remaining=self.remaining(asked.ticket))

    def _accepted(self, entry: Entry) -> Answer:
        return Answer(Outcome.ACCEPTED, reservation=entry.reservation, remaining=self.remaining(entry.ticket))

    def _holds_one(self, person: str, event: str) -> bool:
        named = self._named()
        return any(entry.person == person and named[entry.ticket].event == event for entry in self.standing)

    def _fresh_id(self, person: str) -> str:
        return next(name for number in count(1) if (name := f"{person}#{number}") not in self.issued)

    def _sold(self, ticket: str) -> int:
        return sum(entry.quantity for entry in self.standing if entry.ticket == ticket)

    def _named(self) -> dict[str, TicketType]:
        return {ticket.name: ticket for ticket in self.tickets}


def opening(tickets: Iterable[TicketType]) -> State:
    """Return the state when the sale opens: nothing sold, nobody holding anything."""
    return State(tuple(tickets))
