"""The shipped ticketing system from Python: ``sql/`` applied, its functions and rows typed.

Every function takes an asyncpg connection and does one statement on it; transactions, and the time-out of
a statement (asyncpg's ``command_timeout``), are the caller's. Refusals are exceptions with a ``code``.
"""

from harness.ticketing.bindings import (
    cancel_rsvp,
    create_event,
    create_rsvp,
    create_ticket,
    decrement_ticket_quantity,
    get_ticket_availability,
    increment_ticket_quantity,
    list_rsvps,
)
from harness.ticketing.idempotency import StoredAnswer, begin_idempotent, finish_idempotent
from harness.ticketing.migrations import migrate
from harness.ticketing.proofs import find_payment_proof, store_payment_proof
from harness.ticketing.refusals import (
    DuplicateRsvpError,
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    NotFoundError,
    RetryableError,
    SaleClosedError,
    SoldOutError,
    TicketingError,
)
from harness.ticketing.rows import (
    AvailabilityRow,
    EventRow,
    PaymentProofRow,
    RsvpCreated,
    RsvpRow,
    TicketRow,
)

__all__ = [
    "AvailabilityRow",
    "DuplicateRsvpError",
    "EventRow",
    "IdempotencyKeyReusedError",
    "InvalidRsvpError",
    "NotFoundError",
    "PaymentProofRow",
    "RetryableError",
    "RsvpCreated",
    "RsvpRow",
    "SaleClosedError",
    "SoldOutError",
    "StoredAnswer",
    "TicketRow",
    "TicketingError",
    "begin_idempotent",
    "cancel_rsvp",
    "create_event",
    "create_rsvp",
    "create_ticket",
    "decrement_ticket_quantity",
    "find_payment_proof",
    "finish_idempotent",
    "get_ticket_availability",
    "increment_ticket_quantity",
    "list_rsvps",
    "migrate",
    "store_payment_proof",
]
