"""A demo event, so that a fresh service has something to show."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from harness.ticketing import create_event, create_ticket

if TYPE_CHECKING:
    import asyncpg

DEMO_EVENT = "Summer party"

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def seed_demo(connection: asyncpg.Connection) -> int:
    """Return the number of the demo event, made with its ticket types when it is not there yet.

    Among them one is sold out from the start and one is past its deadline, so that every answer of the
    page can be seen.
    """
    async with connection.transaction():
        # Two services that start at once must not make two of them.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('oversell demo event'))")
        known = await connection.fetchval("SELECT min(id) FROM public.events WHERE name = $1", DEMO_EVENT)
        return int(known) if known else await _create(connection)


async def _create(connection: asyncpg.Connection) -> int:
    event = await create_event(connection, DEMO_EVENT)
    await create_ticket(connection, event.id, "General admission", Decimal("25.00"), 10)
    await create_ticket(connection, event.id, "Supporter, with dinner", Decimal("60.00"), 3)
    await create_ticket(connection, event.id, "Backstage tour", Decimal("40.00"), 0)
    await create_ticket(connection, event.id, "Early bird", Decimal("15.00"), 5, _LONG_AGO)
    return event.id
