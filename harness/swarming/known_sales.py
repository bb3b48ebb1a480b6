"""What a gateway knows of the sales it serves: which ids stand for what, and to whom a name was given.

A request of the contract says less than an operation. Which ticket type a reservation is of, and whose it is,
is known from the answer that gave its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.contract.serving import Refusal
from harness.model import (
    Answer,
    Cancel,
    Confirm,
    Hold,
    JoinWaitlist,
    Outcome,
    ReadAvailability,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.contract.serving import Asked
    from harness.load.plan import Tickets
    from harness.model import Operation, TicketType

REMEMBERED = 64
"""Sales that are known, the newest ones. Buyers visit the newest only, and no visit lasts that long."""
SOMEBODY = "somebody"
"""Who asks where neither the request says so nor a name that was given."""

_NO_SUCH = Refusal(404, "not_found", "There is no such thing in the sales that are on.")
_WHICH = Refusal(400, "invalid", "The event has several ticket types: ticketId must say which.")
_MANY = Refusal(503, "busy", "Several people were given this name, and the request does not say who asks.")


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be done for a request."""

    sale: KnownSale
    operations: Mapping[str, Operation]
    """By the id of the ticket type: one, or when an event's availability is asked for one for each."""


class Owner(NamedTuple):
    """To whom a name was given, and for which ticket type."""

    ticket: str
    person: str


@dataclass(slots=True)
class KnownSale:
    """One sale."""

    sale: Any
    """What the target calls it."""
    ids: Tickets
    reservations: dict[str, tuple[Owner, ...]] = field(default_factory=dict)
    holds: dict[str, tuple[Owner, ...]] = field(default_factory=dict)

    def note(self, operation: Operation, answer: Answer) -> None:
        """Remember the names that an answer gave."""
        if answer.outcome is not Outcome.ACCEPTED:
            return
        match operation:
            case Hold():
                _remember(self.holds, answer.reservation, Owner(operation.ticket, operation.person))
            case Reserve() | Confirm() | JoinWaitlist():
                _remember(self.reservations, answer.reservation, Owner(operation.ticket, operation.person))
            case ReserveGroup(members=members, ticket=ticket):
                for member, name in zip(members, answer.group, strict=False):
                    _remember(self.reservations, name, Owner(ticket, member))


class KnownSales:
    """The newest sales."""

    def __init__(self) -> None:
        self._sales: dict[int, KnownSale] = {}
        self._events = 0

    def opened(self, number: int, sale: Any, tickets: Sequence[TicketType]) -> Tickets:
        """Give ids to the ticket types of a sale, by their names; nothing else had these ids."""
        names = dict.fromkeys(ticket.event for ticket in tickets)
        events = {name: str(self._events + place) for place, name in enumerate(names, start=1)}
        self._events += len(names)
        ids = {
            ticket.name: (events[ticket.event], f"{number}-{place}")
            for place, ticket in enumerate(tickets, start=1)
        }
        self._sales[number] = KnownSale(sale, ids)
        if len(self._sales) > REMEMBERED:
            del self._sales[next(iter(self._sales))]
        return ids

    def find(self, asked: Asked) -> Found | Refusal:
        """Return what is to be done in which sale."""
        match asked.operation:
            case Cancel(reservation=str(name)) | Refund(reservation=str(name)) as operation:
                return _of_whom(operation, [(sale, sale.reservations.get(name, ())) for sale in self])
            case Confirm(hold=str(name)) | Release(hold=str(name)) as operation:
                return _of_whom(operation, [(sale, sale.holds.get(name, ())) for sale in self])
        for sale in self:
            meant = {
                ticket: name
                for name, (event, ticket) in sale.ids.items()
                if asked.event in (event, "") and asked.ticket in (ticket, "")
            }
            if meant:
                return _of_tickets(sale, asked.operation, meant)
        return _NO_SUCH

    def __iter__(self) -> Iterator[KnownSale]:
        """Yield the sales, the newest first."""
        return reversed(self._sales.values())


def _of_tickets(sale: KnownSale, operation: Operation, meant: Mapping[str, str]) -> Found | Refusal:
    """Return what is to be done for ticket types, given as names by their ids."""
    if len(meant) > 1 and not isinstance(operation, ReadAvailability):
        return _WHICH
    person = operation.person or SOMEBODY
    return Found(
        sale, {ticket: replace(operation, ticket=name, person=person) for ticket, name in meant.items()}
    )


def _of_whom(
    operation: Cancel | Refund | Confirm | Release, known: Iterable[tuple[KnownSale, tuple[Owner, ...]]]
) -> Found | Refusal:
    """Return what is to be done with something that was given, by those to whom its name was given."""
    owners = [(sale, owner) for sale, given in known for owner in given]
    asks = operation.person
    mine = [(sale, owner) for sale, owner in owners if owner.person == asks] or owners
    if len(mine) != 1:
        return _MANY if mine else _NO_SUCH
    sale, owner = mine[0]
    whole = replace(operation, ticket=owner.ticket, person=asks or owner.person)
    if isinstance(whole, Cancel) and whole.person != owner.person:
        whole = replace(whole, whose=owner.person)
    return Found(sale, {sale.ids[owner.ticket][1]: whole})


def _remember(given: dict[str, tuple[Owner, ...]], name: str | None, owner: Owner) -> None:
    if name is not None and owner not in (owners := given.get(name, ())):
        given[name] = (*owners, owner)
