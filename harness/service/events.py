"""What is told about an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.ticketing import NotFoundError, get_ticket_availability

if TYPE_CHECKING:
    import asyncpg

    from harness.ticketing import AvailabilityRow


async def describe_event(connection: asyncpg.Connection, event_id: int) -> tuple[str, list[AvailabilityRow]]:
    """Return the event's name, and its ticket types as they stand at one moment.

    :raises NotFoundError: when there is no such event.
    """
    name = await connection.fetchval("SELECT name FROM public.events WHERE id = $1", event_id)
    if name is None:
        raise NotFoundError(f"There is no event {event_id}.")
    return name, await get_ticket_availability(connection, event_id)
