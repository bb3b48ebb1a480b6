"""The functions of the schema as Python functions, and the few plain statements that go with them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from harness.ticketing.functions import (
    CANCEL_RSVP,
    CREATE_RSVP,
    DECREMENT_TICKET_QUANTITY,
    GET_TICKET_AVAILABILITY,
    INCREMENT_TICKET_QUANTITY,
)
from harness.ticketing.refusals import refusals
from harness.ticketing.rows import AvailabilityRow, EventRow, RsvpCreated, RsvpRow, TicketRow, to_row

if TYPE_CHECKING:
    from harness.ticketing.functions import SqlFunction


async def create_event(connection: asyncpg.Connection, name: str) -> EventRow:
    """Add an event.

    :raises InvalidRsvpError: when the name is blank.
    """
    with refusals(inserting=True):
        record = await connection.fetchrow("insert into public.events (name) values ($1) returning *", name)
    return to_row(EventRow, record)


async def create_ticket(
    connection: asyncpg.Connection,
    event_id: int,
    name: str,
    price: Decimal | int,
    quantity: int,
    purchase_deadline: datetime | None = None,
) -> TicketRow:
    """Put a ticket type on sale; all of it is available.

    :param purchase_deadline: the first moment at which nothing is sold any more; with a time zone.
    :raises NotFoundError: when there is no such event.
    :raises InvalidRsvpError: when the name is blank, or price or quantity negative.
    """
    with refusals(inserting=True):
        record = await connection.fetchrow(
            "insert into public.tickets"
            " (event_id, name, price, quantity_initial, quantity_available, purchase_deadline)"
            " values ($1, $2, $3, $4, $4, $5) returning *",
            event_id,
            name,
            price,
            quantity,
            purchase_deadline,
        )
    return to_row(TicketRow, record)


async def decrement_ticket_quantity(connection: asyncpg.Connection, ticket_id: str) -> TicketRow:
    """Take one unit and return the ticket as it then is. The deadline is not looked at.

    :raises SoldOutError: when none is left.
    :raises NotFoundError: when there is no such ticket.
    """
    return to_row(TicketRow, await _one(connection, DECREMENT_TICKET_QUANTITY, ticket_id))


async def increment_ticket_quantity(connection: asyncpg.Connection, ticket_id: str) -> TicketRow:
    """Give one unit back and return the ticket as it then is.

    :raises InvalidRsvpError: when everything that was taken is held by standing RSVPs, so that there is
        nothing to give back.
    :raises NotFoundError: when there is no such ticket.
    """
    return to_row(TicketRow, await _one(connection, INCREMENT_TICKET_QUANTITY, ticket_id))


async def get_ticket_availability(connection: asyncpg.Connection, event_id: int) -> list[AvailabilityRow]:
    """Return what is available and sold of each ticket type, all of one moment; empty for no such event."""
    with refusals():
        records = await connection.fetch(GET_TICKET_AVAILABILITY.call, event_id)
    return [to_row(AvailabilityRow, record) for record in records]


async def create_rsvp(
    connection: asyncpg.Connection,
    *,
    event_id: int,
    user_id: str,
    name: str,
    email: str,
    ticket_id: str,
    payment_proof_url: str | None = None,
) -> RsvpCreated:
    """Buy one ticket for a person: the RSVP and the decrement, both or neither.

    :raises InvalidRsvpError: when a value is missing, malformed or too long.
    :raises NotFoundError: when the event has no such ticket.
    :raises DuplicateRsvpError: when the person already has a standing RSVP for the event, sold out or not.
    :raises SaleClosedError: when the deadline has passed, be it while waiting for other buyers.
    :raises SoldOutError: when none is left.
    :raises RetryableError: under REPEATABLE READ and SERIALIZABLE, when others were in the way.
    """
    record = await _one(connection, CREATE_RSVP, event_id, user_id, name, email, ticket_id, payment_proof_url)
    return RsvpCreated(rsvp=to_row(RsvpRow, record), remaining=record["remaining"])


async def cancel_rsvp(connection: asyncpg.Connection, rsvp_id: UUID) -> RsvpRow:
    """Cancel an RSVP and give its ticket back. Asked again, answer the same and give nothing back.

    :raises NotFoundError: when there is no such RSVP.
    """
    return to_row(RsvpRow, await _one(connection, CANCEL_RSVP, rsvp_id))


async def list_rsvps(connection: asyncpg.Connection, event_id: int) -> list[RsvpRow]:
    """Return the standing RSVPs of an event, oldest first."""
    with refusals():
        records = await connection.fetch(
            "select * from public.rsvps where event_id = $1 and status = 'confirmed' order by created_at, id",
            event_id,
        )
    return [to_row(RsvpRow, record) for record in records]


async def _one(connection: asyncpg.Connection, function: SqlFunction, *arguments: Any) -> asyncpg.Record:
    """Call a function that answers with exactly one row."""
    with refusals():
        return await connection.fetchrow(function.call, *arguments)
