"""The database functions as this package believes them to be: one value each, compared with the catalog
by ``tests/ticketing/test_catalog.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.ticketing.rows import (
    AvailabilityRow,
    HoldRow,
    RefundRow,
    RsvpRow,
    SalesRow,
    TicketRow,
    WaitlistRow,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFunction:
    """A function of the schema, its arguments in order, and what it returns."""

    name: str
    arguments: Mapping[str, str]
    """SQL types by argument name."""
    row: type[Any]
    """What one row of the answer holds."""
    composite: str | None = None
    """The column of the answer that is the row, where there are others beside it."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """SQL types of these others."""

    @property
    def call(self) -> str:
        """The statement that calls it, arguments by name and as parameters ``$1``, ``$2`` ..."""
        arguments = ", ".join(
            f"{name} => ${position}::{type_}"
            for position, (name, type_) in enumerate(self.arguments.items(), start=1)
        )
        # Laid out flat, so that no composite type has to be looked up to decode it.
        row = "answer.*" if self.composite is None else f"(answer.{self.composite}).*"
        columns = ", ".join([row, *(f"answer.{name}" for name in self.extra)])
        # Built from the constants below alone.
        return f"select {columns} from public.{self.name}({arguments}) as answer"  # noqa: S608  # constants


DECREMENT_TICKET_QUANTITY = SqlFunction(
    name="decrement_ticket_quantity", arguments={"ticket_id": "text"}, row=TicketRow
)
INCREMENT_TICKET_QUANTITY = SqlFunction(
    name="increment_ticket_quantity", arguments={"ticket_id": "text"}, row=TicketRow
)
GET_TICKET_AVAILABILITY = SqlFunction(
    name="get_ticket_availability", arguments={"event_id_param": "bigint"}, row=AvailabilityRow
)
CREATE_RSVP = SqlFunction(
    name="create_rsvp",
    arguments={
        "p_event_id": "bigint",
        "p_user_id": "text",
        "p_name": "text",
        "p_email": "text",
        "p_ticket_id": "text",
        "p_payment_proof_url": "text",
    },
    row=RsvpRow,
    composite="rsvp",
    extra={"remaining": "integer"},
)
CANCEL_RSVP = SqlFunction(name="cancel_rsvp", arguments={"p_rsvp_id": "uuid"}, row=RsvpRow)
CANCEL_OWN_RSVP = SqlFunction(
    name="cancel_rsvp", arguments={"p_rsvp_id": "uuid", "p_user_id": "text"}, row=RsvpRow
)
CREATE_HOLD = SqlFunction(
    name="create_hold",
    arguments={"p_event_id": "bigint", "p_user_id": "text", "p_ticket_id": "text", "p_seconds": "integer"},
    row=HoldRow,
    composite="hold",
    extra={"remaining": "integer"},
)
CONFIRM_HOLD = SqlFunction(
    name="confirm_hold",
    arguments={
        "p_hold_id": "uuid",
        "p_name": "text",
        "p_email": "text",
        "p_payment_proof_url": "text",
    },
    row=RsvpRow,
    composite="rsvp",
    extra={"remaining": "integer"},
)
RELEASE_HOLD = SqlFunction(name="release_hold", arguments={"p_hold_id": "uuid"}, row=HoldRow)
EXPIRE_HOLDS = SqlFunction(name="expire_holds", arguments={"p_limit": "integer"}, row=int)
CREATE_GROUP_RSVP = SqlFunction(
    name="create_group_rsvp",
    arguments={
        "p_event_id": "bigint",
        "p_ticket_id": "text",
        "p_user_ids": "text[]",
        "p_names": "text[]",
        "p_emails": "text[]",
    },
    row=RsvpRow,
    composite="rsvp",
    extra={"remaining": "integer"},
)
JOIN_WAITLIST = SqlFunction(
    name="join_waitlist",
    arguments={
        "p_event_id": "bigint",
        "p_user_id": "text",
        "p_name": "text",
        "p_email": "text",
        "p_ticket_id": "text",
    },
    row=WaitlistRow,
    composite="place",
    extra={"position": "integer"},
)
LEAVE_WAITLIST = SqlFunction(
    name="leave_waitlist",
    arguments={"p_event_id": "bigint", "p_user_id": "text", "p_ticket_id": "text"},
    row=WaitlistRow,
)
CHANGE_CAPACITY = SqlFunction(
    name="change_capacity", arguments={"p_ticket_id": "text", "p_capacity": "integer"}, row=TicketRow
)
REFUND_RSVP = SqlFunction(name="refund_rsvp", arguments={"p_rsvp_id": "uuid"}, row=RefundRow)
GET_TICKET_SALES = SqlFunction(
    name="get_ticket_sales", arguments={"p_ticket_id": "text", "p_bucket": "interval"}, row=SalesRow
)

FUNCTIONS = (
    DECREMENT_TICKET_QUANTITY,
    INCREMENT_TICKET_QUANTITY,
    GET_TICKET_AVAILABILITY,
    CREATE_RSVP,
    CANCEL_RSVP,
    CANCEL_OWN_RSVP,
    CREATE_HOLD,
    CONFIRM_HOLD,
    RELEASE_HOLD,
    EXPIRE_HOLDS,
    CREATE_GROUP_RSVP,
    JOIN_WAITLIST,
    LEAVE_WAITLIST,
    CHANGE_CAPACITY,
    REFUND_RSVP,
    GET_TICKET_SALES,
)
