"""What goes over the wire, as types: the OpenAPI document and the checks are both read off them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from harness.service.fields import (
    LARGEST_GROUP,
    Capacity,
    Email,
    EventNumber,
    Money,
    Name,
    ProofUrl,
    Remaining,
    TicketId,
)

if TYPE_CHECKING:
    from harness.ticketing import AvailabilityRow, HoldRow, RefundRow, RsvpRow, SalesRow, TicketRow


class RsvpRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One person asks for one ticket of one event. Fields that are not listed are ignored."""

    event_id: EventNumber
    user_id: Name
    name: Name
    email: Email
    ticket_id: TicketId
    payment_proof_url: ProofUrl | None = None


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
    remaining_tickets: Remaining
    success: Literal[True]


class CancelAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An RSVP no longer stands."""

    rsvp: Rsvp
    success: Literal[True]


class HoldRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One person wants one ticket set aside while they pay. Fields that are not listed are ignored."""

    event_id: EventNumber
    user_id: Name
    ticket_id: TicketId


class Hold(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A ticket that is, or was, set aside."""

    id: UUID
    event_id: int
    user_id: str
    ticket_id: str
    status: Annotated[str, Meta(description="held, and then confirmed, released or expired")]
    expires_at: Annotated[datetime, Meta(description="the first moment at which it cannot be confirmed")]

    @classmethod
    def of(cls, row: HoldRow) -> Hold:
        """Return the row as it is told to the outside."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class HoldAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A ticket was set aside."""

    hold: Hold
    remaining_tickets: Remaining
    success: Literal[True]


class ConfirmRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Who holds a ticket has paid. Fields that are not listed are ignored."""

    name: Name
    email: Email
    payment_proof_url: ProofUrl | None = None


class ReleaseAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A hold was given up."""

    hold: Hold
    success: Literal[True]


class ExpireAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What was held for too long was given back."""

    expired: Annotated[int, Meta(ge=0, description="how many holds this request has ended")]
    success: Literal[True]


class Member(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One of a group."""

    user_id: Name
    name: Name
    email: Email


class GroupRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Several people ask for one ticket each, all or nobody. Fields that are not listed are ignored."""

    event_id: EventNumber
    ticket_id: TicketId
    members: Annotated[
        list[Member],
        Meta(
            min_length=1,
            max_length=LARGEST_GROUP,
            description=f"a list of 1 to {LARGEST_GROUP} people, each with userId, name and email",
        ),
    ]


class GroupAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """RSVPs were made for a whole group."""

    rsvps: Annotated[list[Rsvp], Meta(description="one for each member, in the order of the request")]
    remaining_tickets: Remaining
    success: Literal[True]


class WaitlistRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One person wants what others give back. Fields that are not listed are ignored."""

    event_id: EventNumber
    user_id: Name
    name: Name
    email: Email
    ticket_id: TicketId


class WaitlistAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A person waits in line."""

    id: Annotated[UUID, Meta(description="the id that the RSVP will have once the person is served")]
    position: Annotated[int, Meta(ge=1, description="1 for who is served next")]
    success: Literal[True]


class LeaveAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A person waits no longer."""

    success: Literal[True]


class Refund(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What was paid back for an RSVP."""

    rsvp_id: UUID
    amount: Money
    created_at: datetime

    @classmethod
    def of(cls, row: RefundRow) -> Refund:
        """Return the row as it is told to the outside."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class RefundAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An RSVP no longer stands, and its price was paid back."""

    refund: Refund
    success: Literal[True]


class CapacityRequest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How many tickets of a type there are to sell. Fields that are not listed are ignored."""

    capacity: Capacity


class TicketType(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A ticket type as it stands in the books."""

    id: str
    event_id: int
    name: str
    price: Money
    capacity: int
    available: int
    purchase_deadline: datetime | None

    @classmethod
    def of(cls, row: TicketRow) -> TicketType:
        """Return the row as it is told to the outside."""
        return cls(
            id=row.id,
            event_id=row.event_id,
            name=row.name,
            price=row.price,
            capacity=row.quantity_initial,
            available=row.quantity_available,
            purchase_deadline=row.purchase_deadline,
        )


class CapacityAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """There are that many to sell now."""

    ticket: TicketType
    success: Literal[True]


class SalesPoint(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How a ticket type sold in one stretch of time in which something happened."""

    bucket_start: datetime
    sold: Annotated[int, Meta(description="RSVPs made in that time, whatever became of them")]
    cancelled: Annotated[int, Meta(description="RSVPs cancelled in that time")]
    standing: Annotated[int, Meta(description="RSVPs that stood at its end")]

    @classmethod
    def of(cls, row: SalesRow) -> SalesPoint:
        """Return the row as it is told to the outside."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class SalesAnswer(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How a ticket type sold over time, all read at one moment."""

    ticket_id: str
    bucket: str
    sales: Annotated[list[SalesPoint], Meta(description="oldest first; empty when nothing was ever sold")]
    success: Literal[True]


class Availability(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """One ticket type of an event, and how much of it there is."""

    ticket_id: str
    name: str
    price: Money
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
