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
    notice_number: int
    """How often what is available has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RsvpRow:
    """A row of ``rsvps``: a person's place at an event."""

    id: UUID
    event_id: int
    ticket_id: str
    user_id: str
    name: str
    email: str
    payment_proof_url: str | None
    status: str
    """``confirmed`` while it stands, then ``cancelled``; for other places see ``sql/0004_rsvps.sql``."""
    created_at: datetime
    """When it was confirmed."""
    cancelled_at: datetime | None
    price_paid: Decimal | None
    """``None`` for what was bought before prices were written down."""
    expires_at: datetime | None
    """When the hold that it was would have run out; ``None`` when it was none."""
    waiting_number: int | None
    """Who waits with a smaller number is served first; ``None`` for who does not wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RsvpCreated:
    """What ``create_rsvp`` answers."""

    rsvp: RsvpRow
    remaining: int
    """Units of the ticket left after this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCreated:
    """What ``create_group_rsvp`` answers."""

    rsvps: tuple[RsvpRow, ...]
    """One for each member, in the order in which they were named."""
    remaining: int
    """Units of the ticket left after these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A row of ``holds``."""

    id: UUID
    """The RSVP gets the same once it is confirmed."""
    event_id: int
    ticket_id: str
    user_id: str
    status: str
    """``held``, then ``confirmed``, ``released`` or ``expired``."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCreated:
    """What ``create_hold`` answers."""

    hold: HoldRow
    remaining: int
    """Units of the ticket left after this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitlistRow:
    """A row of ``waitlist``: a place in line."""

    id: UUID
    """The RSVP gets the same once the person is served."""
    event_id: int
    ticket_id: str
    user_id: str
    name: str
    email: str
    number: int
    """The smallest is served first. Numbers have gaps; see :attr:`WaitlistJoined.position`."""
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitlistJoined:
    """What ``join_waitlist`` answers."""

    place: WaitlistRow
    position: int
    """1 for who is served next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRow:
    """A row of ``refunds``."""

    rsvp_id: UUID
    amount: Decimal
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesRow:
    """A row of what ``get_ticket_sales`` returns: a stretch of time in which something happened."""

    bucket_start: datetime
    sold: int
    """RSVPs made in that time, whatever became of them."""
    cancelled: int
    """RSVPs cancelled in that time."""
    standing: int
    """RSVPs that stood at its end."""


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


Row = TypeVar(
    "Row",
    EventRow,
    TicketRow,
    RsvpRow,
    HoldRow,
    WaitlistRow,
    RefundRow,
    SalesRow,
    AvailabilityRow,
    PaymentProofRow,
)


def to_row(kind: type[Row], record: Mapping[str, Any]) -> Row:
    """Return the record as a row; columns that the row does not know are left out."""
    return kind(**{field.name: record[field.name] for field in fields(kind)})
