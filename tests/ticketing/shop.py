"""What the tests of the ticketing functions do over and over."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from harness.ticketing import (
    TicketingError,
    confirm_hold,
    create_event,
    create_group_rsvp,
    create_hold,
    create_rsvp,
    create_ticket,
    join_waitlist,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from typing import TypeAlias
    from uuid import UUID

    import asyncpg

    from harness.ticketing import (
        GroupCreated,
        HoldCreated,
        RsvpCreated,
        TicketRow,
        WaitlistJoined,
    )

    Opening: TypeAlias = Callable[[], Awaitable[asyncpg.Connection]]
    UntilBlocked: TypeAlias = Callable[[asyncpg.Connection], Awaitable[None]]


def email(person: str) -> str:
    return f"{person}@example.com"


async def on_sale(
    connection: asyncpg.Connection, quantity: int, deadline: datetime | None = None
) -> TicketRow:
    """Put a ticket of an event of its own on sale."""
    event = await create_event(connection, "Concert")
    return await create_ticket(connection, event.id, "Standard", 10, quantity, deadline)


async def beside(connection: asyncpg.Connection, ticket: TicketRow, quantity: int) -> TicketRow:
    """Put another ticket of the same event on sale."""
    return await create_ticket(connection, ticket.event_id, "Other", 20, quantity)


async def buy(connection: asyncpg.Connection, ticket: TicketRow, person: str, **other: Any) -> RsvpCreated:
    """Buy with the values that a person has, or with others for some of them."""
    values: dict[str, Any] = {
        "event_id": ticket.event_id,
        "user_id": person,
        "name": person,
        "email": email(person),
        "ticket_id": ticket.id,
    }
    return await create_rsvp(connection, **{**values, **other})


async def hold(
    connection: asyncpg.Connection, ticket: TicketRow, person: str, seconds: int = 600
) -> HoldCreated:
    return await create_hold(
        connection, event_id=ticket.event_id, user_id=person, ticket_id=ticket.id, seconds=seconds
    )


async def confirm(connection: asyncpg.Connection, hold_id: UUID, person: str = "ann") -> RsvpCreated:
    return await confirm_hold(connection, hold_id, name=person, email=email(person))


async def wait(connection: asyncpg.Connection, ticket: TicketRow, person: str) -> WaitlistJoined:
    """Stand in line."""
    return await join_waitlist(
        connection,
        event_id=ticket.event_id,
        user_id=person,
        name=person,
        email=email(person),
        ticket_id=ticket.id,
    )


async def book(connection: asyncpg.Connection, ticket: TicketRow, people: Sequence[str]) -> GroupCreated:
    """Buy for a group."""
    return await create_group_rsvp(
        connection,
        event_id=ticket.event_id,
        ticket_id=ticket.id,
        user_ids=people,
        names=people,
        emails=[email(person) for person in people],
    )


async def run_out(connection: asyncpg.Connection, hold_id: UUID) -> None:
    """Let the time of a hold run out."""
    await connection.execute(
        "update rsvps set expires_at = clock_timestamp() where id = $1 and status = 'held'", hold_id
    )


async def code_of(call: Awaitable[Any]) -> str:
    """Return how a call was refused, or that it was not."""
    try:
        await call
    except TicketingError as refusal:
        return refusal.code
    return "accepted"


async def all_of(*calls: Awaitable[str]) -> Counter[str]:
    async with asyncio.timeout(60):
        return Counter(await asyncio.gather(*calls))


async def books(connection: asyncpg.Connection, ticket: TicketRow) -> dict[str, int]:
    """Return what the counter says and what the rows say, all of one moment; they must add up."""
    row = await connection.fetchrow(
        "select quantity_initial as initial, quantity_available as available,"
        " (select count(*) from rsvps r where r.ticket_id = t.id and status = 'confirmed') as sold,"
        " (select count(*) from rsvps r where r.ticket_id = t.id and status = 'held') as held,"
        " (select count(*) from rsvps r where r.ticket_id = t.id and status = 'waiting') as waiting"
        " from tickets t where id = $1",
        ticket.id,
    )
    numbers = dict(row)
    assert numbers["available"] + numbers["sold"] + numbers["held"] == numbers["initial"]
    return {name: number for name, number in numbers.items() if number and name != "initial"}


async def people(connection: asyncpg.Connection, ticket: TicketRow, status: str) -> list[str]:
    """Return who has that of a ticket, sorted; of those who wait, the first first."""
    rows = await connection.fetch(
        "select user_id from rsvps where ticket_id = $1 and status = $2 order by waiting_number, user_id",
        ticket.id,
        status,
    )
    return [row["user_id"] for row in rows]
