"""Operations as requests of the contract in ``docs/service.md``.

Two kinds of operations are no single request and are made elsewhere: to let somebody's time run out, time is
moved in the database first (:class:`~harness.model.Expire`), and a notice comes by itself over a WebSocket
(:class:`~harness.model.ReadNotice`). A purchase with a payment proof is two: the upload, and then the
purchase that names what the upload answered. Nor can the contract ask for several units at once but as a
group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from harness.model import (
    Cancel,
    ChangeCapacity,
    Confirm,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Proof,
    ReadAvailability,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)

if TYPE_CHECKING:
    from harness.model import Operation

Ids: TypeAlias = tuple[str, str]
"""Ids of the event and of the ticket type, as the service has them."""

SPOKEN = frozenset(Feature) - {
    Feature.QUANTITY,
    Feature.PROOF,
    Feature.DISCONNECT,
    Feature.EXPIRY,
    Feature.NOTICES,
}
"""What can be asked for in single requests."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as the contract goes."""

    method: str
    path: str
    """With its query, ready to be sent."""
    body: Mapping[str, Any] | None
    """What is sent as a JSON object; ``None``: no body."""
    accepted: tuple[int, ...]
    """The statuses that say that it was done."""


def request_for(operation: Operation, ids: Ids, *, proof_url: str | None = None) -> Request | None:
    """Return the request that asks for an operation.

    :param ids: the event's id and the ticket type's.
    :param proof_url: what the upload of the purchase's payment proof answered, where one belongs to it.
    :returns: ``None`` when an earlier answer named no reservation or hold to do this with.
    :raises ValueError: when the contract has no single request for it, or the event's id is no number.
    """
    event, ticket = ids
    person = operation.person
    match operation:
        case Reserve(quantity=1) if proof_url is not None or operation.proof is Proof.NONE:
            proof = {} if proof_url is None else {"paymentProofUrl": proof_url}
            return _post("/api/rsvp", _wanted(ids) | _person(person) | proof)
        case Cancel(reservation=str(name)):
            return _delete(_path("rsvp", name, userId=person))
        case ReadAvailability():
            return Request("GET", _path("events", event, "availability"), None, (200,))
        case Hold(quantity=1):
            return _post("/api/holds", _wanted(ids) | {"userId": person})
        case Confirm(hold=str(name)):
            paid = {field: _person(person)[field] for field in ("name", "email")}
            return _post(_path("holds", name, "confirm"), paid)
        case Release(hold=str(name)):
            return _delete(_path("holds", name))
        case ReserveGroup(members=members):
            return _post("/api/group-rsvps", _wanted(ids) | {"members": [_person(each) for each in members]})
        case JoinWaitlist():
            return _post("/api/waitlist", _wanted(ids) | _person(person))
        case LeaveWaitlist():
            return _delete(_path("events", event, "waitlist", person, ticketId=ticket))
        case ChangeCapacity(capacity=capacity):
            return Request("PUT", _path("tickets", ticket, "capacity"), {"capacity": capacity}, (200,))
        case Refund(reservation=str(name)):
            return Request("POST", _path("rsvp", name, "refund"), None, (200, 201))
        case ReadSales():
            return Request("GET", _path("tickets", ticket, "sales", bucket="day"), None, (200,))
        case Cancel() | Confirm() | Release() | Refund():
            return None
    raise ValueError(f"the contract has no single request for this: {operation}")


def _post(path: str, body: Mapping[str, Any]) -> Request:
    return Request("POST", path, body, (201,))


def _delete(path: str) -> Request:
    return Request("DELETE", path, None, (200, 204))


def _wanted(ids: Ids) -> dict[str, Any]:
    event, ticket = ids
    return {"eventId": int(event), "ticketId": ticket}


def _person(person: str) -> dict[str, Any]:
    return {"userId": person, "name": person, "email": f"{person}@example.com"}


def _path(*parts: str, **query: str) -> str:
    path = "/".join(("/api", *(quote(part, safe="") for part in parts)))
    return f"{path}?{urlencode(query)}" if query else path
