"""The contract from the other side: requests as operations, and answers as responses.

What serves a target that knows nothing of HTTP needs this. A request says less than an operation: who cancels
names a reservation and not its ticket type, and who gives up a hold does not even say who asks. What a
request leaves out is empty in the operation, and whoever serves knows it from the answer that gave the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, unquote

from harness.contract.answers import read_json
from harness.model import (
    Answer,
    Cancel,
    ChangeCapacity,
    Confirm,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    ReadAvailability,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from harness.model import Operation

Response: TypeAlias = tuple[int, Mapping[str, Any]]
"""A status, and the JSON object that goes with it."""

LARGEST_EVENT = 2**53 - 1
LONGEST_TEXT = 200
LARGEST_GROUP = 20

_REFUSALS: Mapping[Outcome, tuple[int, str, str]] = {
    Outcome.SOLD_OUT: (409, "sold_out", "Nothing is left of this ticket type."),
    Outcome.DUPLICATE: (409, "duplicate_rsvp", "This person has a place at the event already."),
    Outcome.RETRYABLE: (503, "busy", "Nothing was done; ask again."),
    Outcome.INVALID: (400, "invalid", "This cannot be done."),
    Outcome.UNKNOWN: (500, "outcome_unknown", "This may or may not have been done."),
}
"""Status, code and words of every outcome but an acceptance."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    operation: Operation
    """With the ticket type's id in place of its name; empty texts stand for what the request leaves out."""
    event: str
    """The event's id; empty when the request does not name it."""
    ticket: str
    """The ticket type's id; empty when the request does not name it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request asks for nothing that could be done."""

    status: int
    error: str
    message: str

    @property
    def response(self) -> Response:
        """What is answered."""
        return self.status, {"success": False, "error": self.error, "message": self.message}


def operation_of(method: str, path: str, query: str, body: bytes) -> Asked | Refusal:
    """Return what a request asks for.

    :param path: as it was sent, percent-encoded, without its query.
    :param query: as it was sent, without the question mark.
    """
    parts = [unquote(part) for part in path.split("/")]
    methods = _ROUTES.get(_shape(parts))
    if methods is None:
        return Refusal(404, "not_found", "There is nothing at this path.")
    read = methods.get(method)
    if read is None:
        return Refusal(405, "method_not_allowed", f"Here only {', '.join(methods)} can be asked for.")
    try:
        return read(_Parts(parts, query, body))
    except _FieldError as error:
        return Refusal(400, error.code, str(error))


def response_of(asked: Asked, answer: Answer) -> Response:
    """Return the response that tells an answer to what was asked for."""
    operation = asked.operation
    if answer.outcome is not Outcome.ACCEPTED:
        status, error, words = _REFUSALS[answer.outcome]
        return Refusal(status, error, answer.detail or words).response
    match operation:
        case ReadAvailability():
            return availability({asked.ticket: answer.remaining})
        case ReadSales():
            sales = {} if answer.sold is None else {"sales": [{"standing": answer.sold}]}
            return 200, {"success": True, "ticketId": asked.ticket, **sales}
    return _STATUSES.get(type(operation), 200), {"success": True, **_told(asked, answer)}


def availability(remaining: Mapping[str, int | None]) -> Response:
    """Return the response that says what remains of an event's ticket types, by their ids."""
    tickets = [
        {"ticketId": ticket} | ({} if number is None else {"available": number})
        for ticket, number in remaining.items()
    ]
    return 200, {"success": True, "tickets": tickets}


_STATUSES: Mapping[type[Operation], int] = dict.fromkeys(
    (Reserve, Hold, Confirm, ReserveGroup, JoinWaitlist), 201
)
"""With what an acceptance is told, where that is not 200."""


def _told(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return what an acceptance names, under the names of the contract."""
    told: dict[str, Any] = {}
    match asked.operation:
        case _ if answer.reservation is None:
            pass
        case JoinWaitlist():
            told["id"] = answer.reservation
        case Hold() | Release():
            told["hold"] = {"id": answer.reservation}
        case _:
            told["rsvp"] = {"id": answer.reservation}
    if answer.group:
        told["rsvps"] = [{"id": name} for name in answer.group]
    if answer.remaining is not None:
        told["remainingTickets"] = answer.remaining
    return told


class _FieldError(Exception):
    """A field is missing, or holds what does not belong there."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Parts:
    """A request in its parts, and its fields as they are asked for."""

    path: list[str]
    """The parts between the slashes, the first of them empty."""
    query: str
    body: bytes
    _fields: dict[str, Any] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body."""
        if self._fields is None:
            self._fields = read_json(self.body)
            if not self._fields:
                raise _FieldError("The body must be a JSON object with fields.")
        return self._fields

    def named(self, place: int) -> str:
        """Return an id in the path."""
        return _text(self.path[place], "the id in the path")

    def asked_for(self, name: str) -> str:
        """Return a parameter of the query; empty when it is not there."""
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return _text(values[-1], name) if values else ""

    def text(self, name: str) -> str:
        """Return a text of the body."""
        return _text(self.fields.get(name), name)

    def ids(self) -> tuple[str, str]:
        """Return the ids of event and ticket type that the body names."""
        event = self.fields.get("eventId")
        if not isinstance(event, int) or isinstance(event, bool) or not 1 <= event <= LARGEST_EVENT:
            raise _FieldError(f"eventId must be a whole number from 1 to {LARGEST_EVENT}.")
        return str(event), self.text("ticketId")

    def person(self) -> str:
        """Return who buys."""
        return _person(self.fields)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT or "\0" in value:
        raise _FieldError(f"{name} must be a text of 1 to {LONGEST_TEXT} characters.")
    return value


def _person(fields: Mapping[str, Any]) -> str:
    _named_and_reachable(fields)
    return _text(fields.get("userId"), "userId")


def _named_and_reachable(fields: Mapping[str, Any]) -> None:
    _text(fields.get("name"), "name")
    if not isinstance(fields.get("email"), str) or "@" not in fields["email"]:
        raise _FieldError("email must be an address.")


def _reserve(parts: _Parts) -> Asked:
    event, ticket = parts.ids()
    if str(parts.fields.get("paymentProofUrl") or "https://").startswith("https://"):
        return Asked(Reserve(ticket=ticket, person=parts.person()), event, ticket)
    raise _FieldError("No payment proof was ever stored here.", "unknown_payment_proof")


def _cancel(parts: _Parts) -> Asked:
    cancel = Cancel(ticket="", person=parts.asked_for("userId"), reservation=parts.named(3))
    return Asked(cancel, "", "")


def _refund(parts: _Parts) -> Asked:
    return Asked(Refund(ticket="", person="", reservation=parts.named(3)), "", "")


def _group(parts: _Parts) -> Asked:
    event, ticket = parts.ids()
    members = parts.fields.get("members")
    if not isinstance(members, list) or not 1 <= len(members) <= LARGEST_GROUP:
        raise _FieldError(f"members must be a list of 1 to {LARGEST_GROUP} people.")
    if not all(isinstance(each, dict) for each in members):
        raise _FieldError("Each of members must be an object.")
    people = tuple(_person(each) for each in members)
    return Asked(ReserveGroup(ticket=ticket, person=people[0], members=people), event, ticket)


def _hold(parts: _Parts) -> Asked:
    event, ticket = parts.ids()
    return Asked(Hold(ticket=ticket, person=parts.text("userId")), event, ticket)


def _confirm(parts: _Parts) -> Asked:
    _named_and_reachable(parts.fields)
    return Asked(Confirm(ticket="", person="", hold=parts.named(3)), "", "")


def _release(parts: _Parts) -> Asked:
    return Asked(Release(ticket="", person="", hold=parts.named(3)), "", "")


def _join(parts: _Parts) -> Asked:
    event, ticket = parts.ids()
    return Asked(JoinWaitlist(ticket=ticket, person=parts.person()), event, ticket)


def _leave(parts: _Parts) -> Asked:
    ticket = parts.asked_for("ticketId")
    return Asked(LeaveWaitlist(ticket=ticket, person=parts.named(5)), _event(parts), ticket)


def _availability(parts: _Parts) -> Asked:
    return Asked(ReadAvailability(ticket="", person=""), _event(parts), "")


def _capacity(parts: _Parts) -> Asked:
    ticket, capacity = parts.named(3), parts.fields.get("capacity")
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise _FieldError("capacity must be a whole number.")
    return Asked(ChangeCapacity(ticket=ticket, person="", capacity=capacity), "", ticket)


def _sales(parts: _Parts) -> Asked:
    ticket = parts.named(3)
    return Asked(ReadSales(ticket=ticket, person=""), "", ticket)


def _event(parts: _Parts) -> str:
    event = parts.named(3)
    if not (event.isascii() and event.isdigit()):
        raise _FieldError("The event's id must be a whole number.")
    return event


Shape: TypeAlias = tuple[int, str, str]
"""How many parts a path has, and the two that are words rather than ids: the second, and the fourth."""

_ROUTES: Mapping[Shape, Mapping[str, Callable[[_Parts], Asked]]] = {
    (3, "rsvp", ""): {"POST": _reserve},
    (4, "rsvp", ""): {"DELETE": _cancel},
    (5, "rsvp", "refund"): {"POST": _refund},
    (3, "group-rsvps", ""): {"POST": _group},
    (3, "holds", ""): {"POST": _hold},
    (5, "holds", "confirm"): {"POST": _confirm},
    (4, "holds", ""): {"DELETE": _release},
    (3, "waitlist", ""): {"POST": _join},
    (6, "events", "waitlist"): {"DELETE": _leave},
    (5, "events", "availability"): {"GET": _availability},
    (5, "tickets", "capacity"): {"PUT": _capacity},
    (5, "tickets", "sales"): {"GET": _sales},
}


def _shape(parts: list[str]) -> Shape:
    if len(parts) < 3 or parts[:2] != ["", "api"]:
        return 0, "", ""
    return len(parts), parts[2], parts[4] if len(parts) > 4 else ""
