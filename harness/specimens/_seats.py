"""Stock as a row for every seat, for specimens that keep no counter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.ledger import RowsTable, Standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from harness.model import Answer
    from harness.specimens._statements import Returned

SEATS = """
    CREATE TABLE seats (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ticket_id bigint NOT NULL REFERENCES tickets,
        rsvp_id bigint REFERENCES rsvps
    );
    CREATE INDEX ON seats (ticket_id, id);
    CREATE INDEX ON seats (rsvp_id);
    CREATE FUNCTION make_seats() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO seats (ticket_id) SELECT NEW.id FROM generate_series(1, NEW.quantity_initial);
        RETURN NULL;
    END $$;
    CREATE TRIGGER make_seats AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION make_seats();
"""
"""A row for every seat, made when a ticket type goes on sale; it is free while it has no RSVP."""
SEAT_ROWS = RowsTable(
    table="public.seats", ticket="ticket_id", status="rsvp_id", standing={"": Standing.FREE}
)
FREE_SEATS = "(SELECT count(*) FROM seats s WHERE s.ticket_id = t.id AND s.rsvp_id IS NULL)"


async def give_seats(db: asyncpg.Connection, answer: Answer, seats: Sequence[asyncpg.Record]) -> None:
    """Write the RSVP that was made on its seats."""
    await db.execute(
        "UPDATE seats SET rsvp_id = $1 WHERE id = ANY ($2::bigint[])",
        int(answer.reservation or 0),
        [seat["id"] for seat in seats],
    )


async def free_seats(db: asyncpg.Connection, returned: Returned) -> None:
    """Free the seats of a cancelled RSVP."""
    await db.execute("UPDATE seats SET rsvp_id = NULL WHERE rsvp_id = $1", returned.rsvp)
