"""Operations: the things buyers do, as plain data, and the features a target needs to serve them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeAlias


class Feature(StrEnum):
    """Something a target may or may not be able to do. A scenario's needs are read off its operations."""

    RESERVE = "reserve"
    CANCEL = "cancel"
    AVAILABILITY = "availability"
    QUANTITY = "quantity"
    """Reserve more than one in one operation."""
    DEADLINE = "deadline"
    """Ticket types whose sale has ended."""
    PROOF = "proof"
    """A payment proof is uploaded as part of the purchase."""
    DISCONNECT = "disconnect"
    """The client can go away in the middle of an operation."""


class Proof(StrEnum):
    """What becomes of the payment proof that belongs to a purchase."""

    NONE = "none"
    """The purchase asks for none."""
    GOOD = "good"
    """A small image that is accepted."""
    REFUSED = "refused"
    """A file of a kind that must be refused. The buyer then stops: nothing may have been bought."""
    CUT = "cut"
    """The connection breaks half-way through the upload. The buyer then stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Take ``quantity`` units of ``ticket`` for ``person`` (an RSVP)."""

    ticket: str
    person: str
    quantity: int = 1
    proof: Proof = Proof.NONE
    disconnects: bool = False
    """The client goes away once the request has left, without waiting for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Give back what ``person`` holds of ``ticket``.

    ``reservation`` is the target's own name for it. Scenarios leave it out: an engine fills in what
    the target answered when that person reserved.
    """

    ticket: str
    person: str
    reservation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAvailability:
    """Ask how many units of ``ticket`` remain."""

    ticket: str
    person: str


Operation: TypeAlias = Reserve | Cancel | ReadAvailability

_KINDS: dict[type[Operation], str] = {Reserve: "reserve", Cancel: "cancel", ReadAvailability: "availability"}


def features_of(operation: Operation) -> frozenset[Feature]:
    """Return what a target must be able to do to serve this operation."""
    needed = {Feature(_KINDS[type(operation)])}
    if isinstance(operation, Reserve):
        if operation.quantity != 1:
            needed.add(Feature.QUANTITY)
        if operation.proof is not Proof.NONE:
            needed.add(Feature.PROOF)
        if operation.disconnects:
            needed.add(Feature.DISCONNECT)
    return frozenset(needed)


def operation_to_dict(operation: Operation) -> dict[str, str | int | bool | None]:
    """Return the operation as JSON-ready data, its ``kind`` first and defaults left out."""
    data: dict[str, str | int | bool | None] = {"kind": _KINDS[type(operation)]}
    for field in fields(operation):
        value = getattr(operation, field.name)
        if value != field.default:
            data[field.name] = value
    return data


def operation_from_dict(data: dict[str, str | int | bool | None]) -> Operation:
    """Return the operation that :func:`operation_to_dict` wrote.

    :raises ValueError: when the kind is unknown or a field does not belong to it.
    """
    kinds = {name: kind for kind, name in _KINDS.items()}
    rest = dict(data)
    kind = kinds.get(str(rest.pop("kind", None)))
    if kind is None:
        raise ValueError(f"unknown operation kind {data.get('kind')!r}; valid: {', '.join(kinds)}")
    if "proof" in rest:
        rest["proof"] = Proof(str(rest["proof"]))
    try:
        return kind(**rest)  # type: ignore[arg-type]  # checked by the constructor, one line below
    except TypeError as error:
        raise ValueError(f"not a {data['kind']} operation: {error}") from None
