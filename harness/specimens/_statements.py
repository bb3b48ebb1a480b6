"""The statements that specimens are made of, each right by itself, and the words they answer with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.model import Answer, Outcome

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Operation, Reserve

SOLD_OUT = Answer(Outcome.SOLD_OUT)
DUPLICATE = Answer(Outcome.DUPLICATE)
CLOSED = Answer(Outcome.INVALID, detail="the sale has ended")
NO_SUCH_RSVP = Answer(Outcome.INVALID, detail="no such RSVP")
NO_SUCH_HOLD = Answer(Outcome.INVALID, detail="no such hold")
ONE_PER_PERSON = """
    CREATE UNIQUE INDEX one_per_person ON rsvps (event_id, user_id) WHERE status = 'confirmed';
"""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket type under the ids of one sale."""

    id: int
    event_id: int


@dataclass(frozen=True, slots=True)
class Returned:
    """What comes back: that of a cancelled RSVP, or of a hold, which has none."""

    ticket: Ticket
    quantity: int
    rsvp: int | None = None


class NoneLeftError(Exception):
    """Raised within a transaction to undo it; the buyer is told that it is sold out."""


async def insert_rsvp(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    """Insert the RSVP; the answer names it."""
    rsvp = await write_rsvp(db, ticket, operation.person, operation.quantity)
    return Answer(Outcome.ACCEPTED, reservation=str(rsvp))


async def write_rsvp(db: asyncpg.Connection, ticket: Ticket, person: str, quantity: int = 1) -> int:
    """Insert an RSVP and return its id."""
    rsvp: int = await db.fetchval(
        "INSERT INTO rsvps (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, $4) RETURNING id",
        ticket.event_id,
        ticket.id,
        person,
        quantity,
    )
    return rsvp


async def has_rsvp(db: asyncpg.Connection, ticket: Ticket, operation: Operation) -> bool:
    """Look whether the person has an RSVP for the event."""
    return bool(
        await db.fetchval(
            "SELECT EXISTS (SELECT FROM rsvps WHERE event_id = $1 AND user_id = $2 AND status = 'confirmed')",
            ticket.event_id,
            operation.person,
        )
    )


async def take(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> bool:
    """Decrement the counter by what is asked for, if there is enough; say whether there was."""
    return await take_units(db, ticket, operation.quantity)


async def take_units(db: asyncpg.Connection, ticket: Ticket, quantity: int = 1) -> bool:
    """Decrement the counter if there is enough, in one statement; say whether there was."""
    taken = await db.fetchval(
        "UPDATE tickets SET quantity_available = quantity_available - $2"
        " WHERE id = $1 AND quantity_available >= $2 RETURNING id",
        ticket.id,
        quantity,
    )
    return taken is not None


async def give_back(db: asyncpg.Connection, ticket: Ticket, quantity: int) -> None:
    """Increment the counter again, whatever it says."""
    await db.execute(
        "UPDATE tickets SET quantity_available = quantity_available + $2 WHERE id = $1",
        ticket.id,
        quantity,
    )


async def count_left(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Count how many units are left: what there was, less the rows that stand."""
    left: int = await db.fetchval(
        "SELECT t.quantity_initial - coalesce(sum(r.quantity), 0)"
        " FROM tickets t LEFT JOIN rsvps r ON r.ticket_id = t.id AND r.status = 'confirmed'"
        " WHERE t.id = $1 GROUP BY t.id",
        ticket.id,
    )
    return left


async def count_sold(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Count how many units are sold: the rows that stand."""
    sold: int = await db.fetchval(
        "SELECT coalesce(sum(quantity), 0) FROM rsvps WHERE ticket_id = $1 AND status = 'confirmed'",
        ticket.id,
    )
    return sold


async def read_counter(db: asyncpg.Connection, ticket: Ticket) -> int:
    """Read how many units are left, as the counter says, and lock nothing."""
    left: int = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
    return left
