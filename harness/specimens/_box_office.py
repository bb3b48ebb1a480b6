"""A shop that does everything, and does it rightly: what specimens about the rest of the system differ from.

Theory of operation. Whoever changes anything about a ticket type locks its row first and holds it until the
commit, so that all changes of one ticket type happen one after another, and every look within them is a look
at what is. Whatever comes back (cancel, refund, release, expiry, a greater capacity) passes through
:meth:`BoxOffice.restock`, which serves the line in the same transaction; so nobody new can get in between,
and whenever something remains, nobody waits.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.model import (
    Answer,
    ChangeCapacity,
    Confirm,
    Expire,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    ReadSales,
    Refund,
    Release,
    ReserveGroup,
)
from harness.specimens._running import SCHEMA
from harness.specimens._shop import Shop
from harness.specimens._statements import (
    CLOSED,
    DUPLICATE,
    NO_SUCH_HOLD,
    NO_SUCH_RSVP,
    ONE_PER_PERSON,
    SOLD_OUT,
    Returned,
    count_sold,
    give_back,
    insert_rsvp,
    read_counter,
    take,
    take_units,
    write_rsvp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    import asyncpg

    from harness.model import Operation, Reserve
    from harness.specimens._statements import Ticket

_TABLES = """
    CREATE TABLE holds (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        ticket_id bigint NOT NULL REFERENCES tickets,
        user_id text NOT NULL,
        quantity integer NOT NULL,
        status text NOT NULL DEFAULT 'held',
        expires_at timestamptz NOT NULL DEFAULT now() + interval '10 minutes'
    );
    CREATE INDEX ON holds (ticket_id);
    CREATE TABLE waitlist (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        ticket_id bigint NOT NULL REFERENCES tickets,
        user_id text NOT NULL
    );
    CREATE INDEX ON waitlist (ticket_id);
    CREATE TABLE refunds (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ticket_id bigint NOT NULL REFERENCES tickets,
        rsvp_id bigint NOT NULL REFERENCES rsvps,
        user_id text NOT NULL,
        quantity integer NOT NULL
    );
    CREATE INDEX ON refunds (ticket_id);
"""
ONE_HOLD_PER_PERSON = """
    CREATE UNIQUE INDEX one_hold_per_person ON holds (event_id, user_id) WHERE status = 'held';
"""
ONE_PLACE_PER_PERSON = """
    CREATE UNIQUE INDEX one_place_per_person ON waitlist (event_id, user_id);
"""
NOTICES = """
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('ticket_availability',
            json_build_object('ticket', NEW.id, 'available', NEW.quantity_available)::text);
        RETURN NULL;
    END $$;
    CREATE TRIGGER tell AFTER UPDATE OF quantity_available ON tickets FOR EACH ROW EXECUTE FUNCTION tell();
"""
"""Whoever listens is told of every change; Postgres sends it at the commit, and not without one."""
SELLING = Shop.supports
HOLDING = SELLING | {Feature.HOLD, Feature.EXPIRY}
REFUNDING = SELLING | {Feature.REFUND}
WAITING = SELLING | {Feature.WAITLIST}


class BoxOffice(Shop):
    """See the module. Subclasses name it, say what they do differently, and may support less."""

    supports = (
        HOLDING | REFUNDING | WAITING | {Feature.GROUP, Feature.CAPACITY, Feature.SALES, Feature.DEADLINE}
    )
    tables = SCHEMA + _TABLES
    constraints = ONE_PER_PERSON + ONE_HOLD_PER_PERSON + ONE_PLACE_PER_PERSON

    @contextlib.asynccontextmanager
    async def transaction(self, db: asyncpg.Connection, ticket: Ticket) -> AsyncIterator[None]:
        """Begin, and lock the ticket type."""
        async with db.transaction():
            await db.execute("SELECT FROM tickets WHERE id = $1 FOR NO KEY UPDATE", ticket.id)
            yield

    async def handle(self, db: asyncpg.Connection, ticket: Ticket, operation: Operation) -> Answer:
        """Do one operation, on a connection that is in no transaction."""
        match operation:
            case Hold() if operation.quantity < 1:
                return Answer(Outcome.INVALID, detail="at least one")
            case Hold():
                return await self.hold(db, ticket, operation)
            case Confirm():
                return await self.confirm(db, ticket, operation)
            case Release():
                return await self.release(db, ticket, operation)
            case Expire():
                await self.run_out(db, ticket, operation)
                return await self.sweep(db, ticket)
            case ReserveGroup() if not 0 < len(set(operation.members)) == len(operation.members):
                return Answer(Outcome.INVALID, detail="nobody, or somebody twice")
            case ReserveGroup():
                return await self.reserve_group(db, ticket, operation)
            case JoinWaitlist():
                return await self.join(db, ticket, operation)
            case LeaveWaitlist():
                return await self.leave(db, ticket, operation)
            case ChangeCapacity():
                return await self.change_capacity(db, ticket, operation)
            case Refund():
                return await self.refund(db, ticket, operation)
            case ReadSales():
                return await self.sales(db, ticket)
            case _:
                return await super().handle(db, ticket, operation)

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Look, take, insert."""
        async with self.transaction(db, ticket):
            return await sell(db, ticket, operation)

    async def hold(self, db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
        """Look, take, write down for whom."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, [operation.person]):
                return refusal
            if not await take_units(db, ticket, operation.quantity):
                return SOLD_OUT
            return await insert_hold(db, ticket, operation)

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Turn a hold that is still good into an RSVP; what it holds was taken before."""
        async with self.transaction(db, ticket):
            quantity = await end_hold(db, operation)
            if quantity is None:
                return NO_SUCH_HOLD
            rsvp = await write_rsvp(db, ticket, operation.person, quantity)
            return Answer(Outcome.ACCEPTED, reservation=str(rsvp))

    async def release(self, db: asyncpg.Connection, ticket: Ticket, operation: Release) -> Answer:
        """Give a hold up, if it is one still."""
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                f"UPDATE {self.holds} SET status = 'released'"  # noqa: S608  # the specimen's own SQL
                " WHERE id = $1 AND user_id = $2 AND status = 'held'"
                " RETURNING quantity",
                int(operation.hold or 0),
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_HOLD
            await self.restock(db, Returned(ticket, quantity))
        return DONE

    async def run_out(self, db: asyncpg.Connection, ticket: Ticket, operation: Expire) -> None:
        """Let an hour pass for what the person holds."""
        await db.execute(
            f"UPDATE {self.holds} SET expires_at = now() - interval '1 hour'"  # noqa: S608  # likewise
            " WHERE ticket_id = $1 AND user_id = $2 AND status = 'held'",
            ticket.id,
            operation.person,
        )

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Give back what is held and has run out: only who turned the row gives it back."""
        async with self.transaction(db, ticket):
            over = await db.fetch(
                f"UPDATE {self.holds} SET status = 'expired'"  # noqa: S608  # likewise
                " WHERE ticket_id = $1 AND status = 'held' AND expires_at <= clock_timestamp()"
                " RETURNING quantity",
                ticket.id,
            )
            if over:
                await self.restock(db, Returned(ticket, sum(hold["quantity"] for hold in over)))
        return DONE

    async def reserve_group(self, db: asyncpg.Connection, ticket: Ticket, operation: ReserveGroup) -> Answer:
        """Look, take as many as there are members, insert them in an order that all keep; all or nothing."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, operation.members):
                return refusal
            if not await take_units(db, ticket, len(operation.members)):
                return SOLD_OUT
            made = {member: await write_rsvp(db, ticket, member) for member in sorted(operation.members)}
        return Answer(Outcome.ACCEPTED, group=tuple(str(made[member]) for member in operation.members))

    async def join(self, db: asyncpg.Connection, ticket: Ticket, operation: JoinWaitlist) -> Answer:
        """Stand at the end of the line, when nothing remains."""
        async with self.transaction(db, ticket):
            if refusal := await refusal_for(db, ticket, [operation.person]):
                return refusal
            if await read_counter(db, ticket) > 0:
                return SOMETHING_REMAINS
            await insert_place(db, ticket, operation.person)
        return DONE

    async def leave(self, db: asyncpg.Connection, ticket: Ticket, operation: LeaveWaitlist) -> Answer:
        """Stand in the line no longer."""
        async with self.transaction(db, ticket):
            left = await db.fetchval(
                "DELETE FROM waitlist WHERE ticket_id = $1 AND user_id = $2 RETURNING id",
                ticket.id,
                operation.person,
            )
        return NOT_IN_LINE if left is None else DONE

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Put what comes back on sale again, and serve the line first."""
        await give_back(db, returned.ticket, returned.quantity)
        await self.serve_line(db, returned.ticket)

    async def serve_line(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Give what remains to those who wait, the first first; who found something else needs none."""
        if Feature.WAITLIST not in self.supports:
            return
        while await read_counter(db, ticket) > 0:
            person = await self.next_in_line(db, ticket)
            if person is None:
                return
            if await refusal_for(db, ticket, [person]) is None and await take_units(db, ticket):
                await write_rsvp(db, ticket, person)

    async def next_in_line(self, db: asyncpg.Connection, ticket: Ticket) -> str | None:
        """Strike the first off the line, and say who it was."""
        person: str | None = await db.fetchval(
            "DELETE FROM waitlist WHERE id = (SELECT min(id) FROM waitlist WHERE ticket_id = $1)"
            " RETURNING user_id",
            ticket.id,
        )
        return person

    async def change_capacity(
        self, db: asyncpg.Connection, ticket: Ticket, operation: ChangeCapacity
    ) -> Answer:
        """Move both numbers by the difference, unless more than that is sold and held."""
        async with self.transaction(db, ticket):
            if not await move_capacity(db, ticket, operation.capacity):
                return TOO_SMALL
            await self.serve_line(db, ticket)
        return DONE

    async def refund(self, db: asyncpg.Connection, ticket: Ticket, operation: Refund) -> Answer:
        """Take back and pay back, once: only who turned the row does either."""
        rsvp = int(operation.reservation or 0)
        async with self.transaction(db, ticket):
            quantity = await db.fetchval(
                "UPDATE rsvps SET status = 'refunded'"
                " WHERE id = $1 AND ticket_id = $2 AND user_id = $3 AND status = 'confirmed'"
                " RETURNING quantity",
                rsvp,
                ticket.id,
                operation.person,
            )
            if quantity is None:
                return NO_SUCH_RSVP
            await pay_back(db, ticket, rsvp, operation.person, quantity)
            await self.restock(db, Returned(ticket, quantity, rsvp))
        return Answer(Outcome.ACCEPTED, reservation=operation.reservation)

    async def sales(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        """Say how many units are sold: count them."""
        return Answer(Outcome.ACCEPTED, sold=await count_sold(db, ticket))


DONE = Answer(Outcome.ACCEPTED)
SOMETHING_REMAINS = Answer(Outcome.INVALID, detail="something remains")
NOT_IN_LINE = Answer(Outcome.INVALID, detail="does not wait")
TOO_SMALL = Answer(Outcome.INVALID, detail="more than that is sold and held")


async def refusal_for(db: asyncpg.Connection, ticket: Ticket, people: Iterable[str]) -> Answer | None:
    """Return why none of these people can have anything more of the event, if so."""
    row = await db.fetchrow(
        "SELECT t.closed, EXISTS ("
        " SELECT FROM rsvps WHERE event_id = $2 AND user_id = ANY ($3::text[]) AND status = 'confirmed'"
        " UNION ALL"
        " SELECT FROM holds WHERE event_id = $2 AND user_id = ANY ($3::text[]) AND status = 'held'"
        ") AS has FROM tickets t WHERE t.id = $1",
        ticket.id,
        ticket.event_id,
        list(people),
    )
    if row["has"]:
        return DUPLICATE
    return CLOSED if row["closed"] else None


async def sell(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    """Look, take, insert; within a transaction that has the ticket type locked."""
    if refusal := await refusal_for(db, ticket, [operation.person]):
        return refusal
    if not await take(db, ticket, operation):
        return SOLD_OUT
    return await insert_rsvp(db, ticket, operation)


async def insert_hold(db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
    """Write down what is held for whom; the answer names it."""
    hold = await db.fetchval(
        "INSERT INTO holds (event_id, ticket_id, user_id, quantity) VALUES ($1, $2, $3, $4) RETURNING id",
        ticket.event_id,
        ticket.id,
        operation.person,
        operation.quantity,
    )
    return Answer(Outcome.ACCEPTED, reservation=str(hold))


async def end_hold(db: asyncpg.Connection, operation: Confirm) -> int | None:
    """Mark a hold as confirmed if it is still good, and return what it holds."""
    quantity: int | None = await db.fetchval(
        "UPDATE holds SET status = 'confirmed' WHERE id = $1 AND user_id = $2"
        " AND status = 'held' AND expires_at > clock_timestamp() RETURNING quantity",
        int(operation.hold or 0),
        operation.person,
    )
    return quantity


async def find_hold(db: asyncpg.Connection, operation: Confirm) -> int | None:
    """Look whether a hold is still good, lock nothing, and return what it holds."""
    quantity: int | None = await db.fetchval(
        "SELECT quantity FROM holds"
        " WHERE id = $1 AND user_id = $2 AND status = 'held' AND expires_at > now()",
        int(operation.hold or 0),
        operation.person,
    )
    return quantity


async def move_capacity(db: asyncpg.Connection, ticket: Ticket, capacity: int) -> bool:
    """Move both numbers by the difference, unless more is sold and held; say whether they were moved."""
    moved = await db.fetchval(
        "UPDATE tickets SET quantity_initial = $2,"
        " quantity_available = quantity_available + $2 - quantity_initial"
        " WHERE id = $1 AND quantity_available + $2 - quantity_initial >= 0 RETURNING id",
        ticket.id,
        capacity,
    )
    return moved is not None


async def insert_place(db: asyncpg.Connection, ticket: Ticket, person: str) -> None:
    """Write down who waits."""
    await db.execute(
        "INSERT INTO waitlist (event_id, ticket_id, user_id) VALUES ($1, $2, $3)",
        ticket.event_id,
        ticket.id,
        person,
    )


async def pay_back(db: asyncpg.Connection, ticket: Ticket, rsvp: int, person: str, quantity: int) -> None:
    """Write down that an RSVP was paid back."""
    await db.execute(
        "INSERT INTO refunds (ticket_id, rsvp_id, user_id, quantity) VALUES ($1, $2, $3, $4)",
        ticket.id,
        rsvp,
        person,
        quantity,
    )
