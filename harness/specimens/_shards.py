"""Stock spread over several counters, so that not everybody waits for the same row."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from harness.model.ledger import RowsTable, Standing
from harness.specimens._shop import Shop

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Returned, Ticket

SHARDS = """
    CREATE TABLE shards (
        ticket_id bigint NOT NULL REFERENCES tickets,
        number integer NOT NULL,
        available integer NOT NULL,
        PRIMARY KEY (ticket_id, number)
    );
    CREATE FUNCTION make_shards() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO shards
        SELECT NEW.id, n, NEW.quantity_initial / 4 + (n < NEW.quantity_initial % 4)::integer
        FROM generate_series(0, 4 - 1) n;
        RETURN NULL;
    END $$;
    CREATE TRIGGER make_shards AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION make_shards();
"""
"""Four counters for each ticket type."""


class ShardedShop(Shop):
    """Subclasses say how to reserve. What comes back goes to the first counter."""

    available = "(SELECT sum(s.available) FROM shards s WHERE s.ticket_id = t.id)"
    stock_rows = (
        RowsTable(table="public.shards", ticket="ticket_id", quantity="available", standing=Standing.FREE),
    )

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put it on one of the counters."""
        await db.execute(
            "UPDATE shards SET available = available + $2 WHERE ticket_id = $1 AND number = 0",
            returned.ticket.id,
            returned.quantity,
        )


def shard_of(person: str) -> int:
    """Return the number of the counter that serves a person."""
    return zlib.crc32(person.encode()) % 4


async def take_from_shard(db: asyncpg.Connection, ticket: Ticket, number: int, quantity: int) -> bool:
    """Decrement one of the counters if there is enough on it; say whether there was."""
    taken = await db.fetchval(
        "UPDATE shards SET available = available - $3"
        " WHERE ticket_id = $1 AND number = $2 AND available >= $3 RETURNING number",
        ticket.id,
        number,
        quantity,
    )
    return taken is not None


async def take_from_all(db: asyncpg.Connection, ticket: Ticket, quantity: int) -> bool:
    """Lock all counters, in order, and take wherever there is some; say whether it was enough."""
    shards = await db.fetch(
        "SELECT number, available FROM shards WHERE ticket_id = $1 ORDER BY number FOR NO KEY UPDATE",
        ticket.id,
    )
    if sum(shard["available"] for shard in shards) < quantity:
        return False
    for shard in shards:
        part = min(shard["available"], quantity)
        quantity -= part
        if part:
            await take_from_shard(db, ticket, shard["number"], part)
    return True
