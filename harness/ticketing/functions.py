"""The database functions as this package believes them to be: one value each, compared with the catalog
by ``tests/ticketing/test_catalog.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.ticketing.rows import AvailabilityRow, RsvpRow, TicketRow

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
    columns: str = "answer.*"
    """How the answer is laid out flat, so that no composite type has to be looked up to decode it."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """SQL types of further columns, after those of the row."""

    @property
    def call(self) -> str:
        """The statement that calls it, arguments by name and as parameters ``$1``, ``$2`` ..."""
        arguments = ", ".join(
            f"{name} => ${position}::{type_}"
            for position, (name, type_) in enumerate(self.arguments.items(), start=1)
        )
        # Built from the constants below alone.
        return f"select {self.columns} from public.{self.name}({arguments}) as answer"  # noqa: S608  # constants


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
    columns="(answer.rsvp).*, answer.remaining",
    extra={"remaining": "integer"},
)
CANCEL_RSVP = SqlFunction(name="cancel_rsvp", arguments={"p_rsvp_id": "uuid"}, row=RsvpRow)

FUNCTIONS = (
    DECREMENT_TICKET_QUANTITY,
    INCREMENT_TICKET_QUANTITY,
    GET_TICKET_AVAILABILITY,
    CREATE_RSVP,
    CANCEL_RSVP,
)
