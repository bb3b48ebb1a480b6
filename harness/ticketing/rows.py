"""Rows of the ticketing schema as frozen data, field for column and in the same order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of ``events``."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRow:
    """A row of ``tickets``."""

    id: str
    event_id: int
    name: str
    price: Decimal
    quantity_initial: int
    quantity_available: int
    purchase_deadline: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RsvpRow:
    """A row of ``rsvps``."""

    id: UUID
    event_id: int
    ticket_id: str
    user_id: str
    name: str
    email: str
    payment_proof_url: str | None
    status: str
    """``confirmed`` while it stands, then ``cancelled``."""
    created_at: datetime
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RsvpCreated:
    """What ``create_rsvp`` answers."""

    rsvp: RsvpRow
    remaining: int
    """Units of the ticket left after this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityRow:
    """A row of what ``get_ticket_availability`` returns; numbers of one moment."""

    id: str
    name: str
    price: Decimal
    available: int
    sold: int
    """Standing RSVPs, counted."""
    deadline: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentProofRow:
    """A row of ``payment_proofs``."""

    id: UUID
    content_type: str
    content: bytes
    size: int
    """Length of the content in bytes."""
    created_at: datetime


Row = TypeVar("Row", EventRow, TicketRow, RsvpRow, AvailabilityRow, PaymentProofRow)


def to_row(kind: type[Row], record: Mapping[str, Any]) -> Row:
    """Return the record as a row; columns that the row does not know are left out."""
    return kind(**{field.name: record[field.name] for field in fields(kind)})
