"""The functions of the schema as Python functions, and the few plain statements that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from harness.ticketing.functions import (
    CANCEL_OWN_RSVP,
    CANCEL_RSVP,
    CHANGE_CAPACITY,
    CONFIRM_HOLD,
    CREATE_GROUP_RSVP,
    CREATE_HOLD,
    CREATE_RSVP,
    DECREMENT_TICKET_QUANTITY,
    EXPIRE_HOLDS,
    GET_TICKET_AVAILABILITY,
    GET_TICKET_SALES,
    INCREMENT_TICKET_QUANTITY,
    JOIN_WAITLIST,
    LEAVE_WAITLIST,
    REFUND_RSVP,
    RELEASE_HOLD,
)
from harness.ticketing.refusals import refusals
from harness.ticketing.rows import (
    AvailabilityRow,
    EventRow,
    GroupCreated,
    HoldCreated,
    HoldRow,
    RefundRow,
    RsvpCreated,
    RsvpRow,
    SalesRow,
    TicketRow,
    WaitlistJoined,
    WaitlistRow,
    to_row,
)

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

    :raises InvalidRsvpError: when everything that was taken belongs to standing RSVPs and holds, so that
        there is nothing to give back.
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

    :raises InvalidRsvpError: when a value is missing, malformed or too long; when the person waits in line
        for a ticket of the event.
    :raises NotFoundError: when the event has no such ticket.
    :raises DuplicateRsvpError: when the person already has a standing RSVP or a hold for the event, sold out
        or not.
    :raises SaleClosedError: when the deadline has passed, be it while waiting for other buyers.
    :raises SoldOutError: when none is left.
    :raises RetryableError: under REPEATABLE READ and SERIALIZABLE, when others were in the way.
    """
    record = await _one(connection, CREATE_RSVP, event_id, user_id, name, email, ticket_id, payment_proof_url)
    return RsvpCreated(rsvp=to_row(RsvpRow, record), remaining=record["remaining"])


async def cancel_rsvp(connection: asyncpg.Connection, rsvp_id: UUID, user_id: str | None = None) -> RsvpRow:
    """Cancel an RSVP and give its ticket back. Asked again, answer the same and give nothing back.

    :param user_id: who asks; ``None`` for somebody who may cancel everybody's.
    :raises NotFoundError: when there is no such RSVP.
    :raises NotOwnerError: when it is not theirs who ask.
    """
    if user_id is None:
        return to_row(RsvpRow, await _one(connection, CANCEL_RSVP, rsvp_id))
    return to_row(RsvpRow, await _one(connection, CANCEL_OWN_RSVP, rsvp_id, user_id))


async def create_hold(
    connection: asyncpg.Connection, *, event_id: int, user_id: str, ticket_id: str, seconds: int = 600
) -> HoldCreated:
    """Set one ticket aside for a person while they pay.

    :param seconds: how long, from 1 to 86400; never beyond the ticket's deadline.
    :raises InvalidRsvpError: when a value is missing or too long; when the person waits in line for a ticket
        of the event.
    :raises NotFoundError: when the event has no such ticket.
    :raises DuplicateRsvpError: when the person already has a standing RSVP or a hold for the event.
    :raises SaleClosedError: when the deadline has passed.
    :raises SoldOutError: when none is left.
    :raises RetryableError: under REPEATABLE READ and SERIALIZABLE, when others were in the way.
    """
    record = await _one(connection, CREATE_HOLD, event_id, user_id, ticket_id, seconds)
    return HoldCreated(hold=to_row(HoldRow, record), remaining=record["remaining"])


async def confirm_hold(
    connection: asyncpg.Connection,
    hold_id: UUID,
    *,
    name: str,
    email: str,
    payment_proof_url: str | None = None,
) -> RsvpCreated:
    """Turn a hold into an RSVP. Asked again, answer the same.

    :raises InvalidRsvpError: when a value is missing, malformed or too long; when the hold was released, or
        its RSVP cancelled.
    :raises NotFoundError: when there is no such hold.
    :raises HoldExpiredError: when its time has run out, be it while waiting for others, swept or not.
    """
    record = await _one(connection, CONFIRM_HOLD, hold_id, name, email, payment_proof_url)
    return RsvpCreated(rsvp=to_row(RsvpRow, record), remaining=record["remaining"])


async def release_hold(connection: asyncpg.Connection, hold_id: UUID) -> HoldRow:
    """Give a hold up. Asked again, or after it was swept, give nothing back.

    :raises InvalidRsvpError: when it was confirmed.
    :raises NotFoundError: when there is no such hold.
    """
    return to_row(HoldRow, await _one(connection, RELEASE_HOLD, hold_id))


async def expire_holds(connection: asyncpg.Connection, limit: int = 1000) -> int:
    """Give back what is held beyond its time, and return how many holds that were.

    :param limit: how many at most, those first whose time ran out first.
    :raises InvalidRsvpError: when the limit is less than 1.
    """
    (expired,) = await _one(connection, EXPIRE_HOLDS, limit)
    return int(expired)


async def create_group_rsvp(
    connection: asyncpg.Connection,
    *,
    event_id: int,
    ticket_id: str,
    user_ids: Sequence[str],
    names: Sequence[str],
    emails: Sequence[str],
) -> GroupCreated:
    """Buy one ticket for each of several people: for all of them, or for nobody.

    :param user_ids: 1 to 100 different ones; names and emails in the same order.
    :raises InvalidRsvpError: when a value is missing, malformed, too long or there twice; when a member waits
        in line for a ticket of the event.
    :raises NotFoundError: when the event has no such ticket.
    :raises DuplicateRsvpError: when a member already has a standing RSVP or a hold for the event.
    :raises SaleClosedError: when the deadline has passed.
    :raises SoldOutError: when fewer are left than the group has members.
    :raises RetryableError: under REPEATABLE READ and SERIALIZABLE, when others were in the way.
    """
    arguments = (event_id, ticket_id, list(user_ids), list(names), list(emails))
    with refusals():
        records = await connection.fetch(CREATE_GROUP_RSVP.call, *arguments)
    rsvps = tuple(to_row(RsvpRow, record) for record in records)
    return GroupCreated(rsvps=rsvps, remaining=records[0]["remaining"])


async def join_waitlist(
    connection: asyncpg.Connection, *, event_id: int, user_id: str, name: str, email: str, ticket_id: str
) -> WaitlistJoined:
    """Stand in line for a ticket that is sold out. Who is served gets an RSVP with the same id.

    :raises InvalidRsvpError: when a value is missing, malformed or too long; when the ticket is to be had.
    :raises NotFoundError: when the event has no such ticket.
    :raises DuplicateRsvpError: when the person has a standing RSVP or a hold for the event, or waits already.
    :raises SaleClosedError: when the deadline has passed.
    """
    record = await _one(connection, JOIN_WAITLIST, event_id, user_id, name, email, ticket_id)
    return WaitlistJoined(place=to_row(WaitlistRow, record), position=record["position"])


async def leave_waitlist(
    connection: asyncpg.Connection, event_id: int, user_id: str, ticket_id: str | None = None
) -> WaitlistRow:
    """Wait no longer, and return what the place was.

    :param ticket_id: leave the line of this ticket only; ``None`` for whichever line of the event it is.
    :raises NotFoundError: when the person does not wait, be it because they have just been served.
    """
    return to_row(WaitlistRow, await _one(connection, LEAVE_WAITLIST, event_id, user_id, ticket_id))


async def change_capacity(connection: asyncpg.Connection, ticket_id: str, capacity: int) -> TicketRow:
    """Let there be so many to sell in all, and serve who waits with what that adds.

    :raises InvalidRsvpError: when it is negative, or less than what is sold and held.
    :raises NotFoundError: when there is no such ticket.
    """
    return to_row(TicketRow, await _one(connection, CHANGE_CAPACITY, ticket_id, capacity))


async def refund_rsvp(connection: asyncpg.Connection, rsvp_id: UUID) -> RefundRow:
    """Cancel an RSVP and write down that its price is paid back. Asked again, answer the same.

    :raises InvalidRsvpError: when it was cancelled without a refund.
    :raises NotFoundError: when there is no such RSVP.
    """
    return to_row(RefundRow, await _one(connection, REFUND_RSVP, rsvp_id))


async def get_ticket_sales(
    connection: asyncpg.Connection, ticket_id: str, bucket: timedelta = timedelta(hours=1)
) -> list[SalesRow]:
    """Return what was sold and cancelled of a ticket over time, oldest first.

    Stretches of time in which nothing happened are left out; the last row says what stands now.

    :raises InvalidRsvpError: when the bucket lasts no time.
    :raises NotFoundError: when there is no such ticket.
    """
    with refusals():
        records = await connection.fetch(GET_TICKET_SALES.call, ticket_id, bucket)
    return [to_row(SalesRow, record) for record in records]


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
