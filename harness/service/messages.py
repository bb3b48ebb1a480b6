"""What goes over the wire, as types: the OpenAPI document and the checks are both read off them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal, get_args, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Meta

from harness.service.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.ticketing import AvailabilityRow, RsvpRow

LARGEST_ID = 2**53 - 1
"""The largest number of an event: beyond it, JSON readers in other languages lose digits."""

# Postgres cannot store NUL in a text, and a name of blanks is nobody's.
_SOME_TEXT = r"^[^\x00]*[^\s\x00][^\x00]*$"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Python's "$" also matches before a last line break, other dialects' does not; this says it for all.
_END = r"$(?!\n)"

PROOF_PATH = "/api/payment-proofs/"


class RsvpRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One person asks for one ticket of one event. Fields that are not listed are ignored."""

    event_id: Annotated[int, Meta(ge=1, le=LARGEST_ID, description="the event's number, from 1")]
    user_id: Annotated[
        str, Meta(max_length=200, pattern=_SOME_TEXT, description="1 to 200 characters, not only blanks")
    ]
    name: Annotated[
        str, Meta(max_length=200, pattern=_SOME_TEXT, description="1 to 200 characters, not only blanks")
    ]
    email: Annotated[
        str,
        Meta(
            max_length=320,
            pattern=r"^[^@\s\x00]+@[^@\s\x00]+" + _END,
            description="an address such as ann@example.org, at most 320 characters",
        ),
    ]
    ticket_id: Annotated[
        str,
        Meta(max_length=200, pattern=_SOME_TEXT, description="the id of a ticket type, 1 to 200 characters"),
    ]
    payment_proof_url: (
        Annotated[
            str,
            Meta(
                max_length=2000,
                pattern=rf"^(https://[A-Za-z0-9.-]+(:[0-9]+)?([/?#][^\s\x00]*)?|{PROOF_PATH}{_UUID}){_END}",
                description="an https address, or what the upload of a payment proof answered",
            ),
        ]
        | None
    ) = None


class Rsvp(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An RSVP as it stands in the books."""

    id: UUID
    event_id: int
    user_id: str
    name: str
    email: str
    ticket_id: str
    status: Literal["confirmed", "cancelled"]
    payment_proof_url: str | None
    created_at: datetime
    cancelled_at: datetime | None

    @classmethod
    def of(cls, row: RsvpRow) -> Rsvp:
        """Return the row as it is told to the outside."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class RsvpAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An RSVP was made."""

    rsvp: Rsvp
    remaining_tickets: Annotated[int, Meta(ge=0, description="units of that ticket type left just after")]
    success: Literal[True]


class CancelAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An RSVP no longer stands."""

    rsvp: Rsvp
    success: Literal[True]


class Availability(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One ticket type of an event, and how much of it there is."""

    ticket_id: str
    name: str
    price: Annotated[Decimal, Meta(description="a decimal number in a string, so that no cent is lost")]
    available: int
    sold: int
    purchase_deadline: datetime | None

    @classmethod
    def of(cls, row: AvailabilityRow) -> Availability:
        """Return the row as it is told to the outside."""
        return cls(
            ticket_id=row.id,
            name=row.name,
            price=row.price,
            available=row.available,
            sold=row.sold,
            purchase_deadline=row.deadline,
        )


class AvailabilityAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The ticket types of one event, all read at one moment."""

    event_id: int
    name: Annotated[str, Meta(description="the event's name")]
    tickets: list[Availability]
    success: Literal[True]


class ProofAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A payment proof was stored."""

    payment_proof_url: Annotated[str, Meta(description="to be sent as paymentProofUrl of an RSVP")]
    success: Literal[True]


class HealthAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The service can reach its database."""

    success: Literal[True]


class ErrorAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Anything that was not done."""

    error: Annotated[str, Meta(description="a code for programs, such as sold_out")]
    message: Annotated[str, Meta(description="a sentence for people")]
    success: Literal[False]


def read_rsvp(body: bytes) -> RsvpRequest:
    """Return the request in this JSON body.

    :raises BadRequestError: when it is no JSON object, or names every field that is missing or malformed.
    """
    data = _read_object(body)
    problems = list(_problems(data))
    if problems:
        raise BadRequestError("; ".join(problems) + ".")
    return msgspec.convert(data, RsvpRequest)


def _read_object(body: bytes) -> dict[str, object]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("The body is not valid JSON in UTF-8.") from None
    if not isinstance(data, dict):
        raise BadRequestError("The body must be a JSON object.")
    return data


def _problems(data: dict[str, object]) -> Iterable[str]:
    hints = get_type_hints(RsvpRequest, include_extras=True)
    for field in msgspec.structs.fields(RsvpRequest):
        name = field.encode_name
        if name not in data:
            if field.required:
                yield f"{name} is missing"
            continue
        try:
            msgspec.convert(data[name], hints[field.name])
        except msgspec.ValidationError:
            yield f"{name} must be {_rule(hints[field.name])}"


def _rule(hint: object) -> str:
    """Return the description that stands in a field's type, optional or not."""
    for part in (hint, *get_args(hint)):
        for meta in getattr(part, "__metadata__", ()):
            return str(meta.description)
    raise TypeError(f"{hint} carries no description")
