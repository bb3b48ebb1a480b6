"""Places that are leased: a row for each, with who has it set aside and until when, and whose it is.

A lease that has run out needs no clean-up: whoever comes next takes the place over. Each time somebody does,
its token grows, and a token says for which lease a place was paid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model import Answer, Feature, Outcome
from harness.specimens._box_office import DONE, HOLDING, BoxOffice
from harness.specimens._statements import (
    DUPLICATE,
    NO_SUCH_HOLD,
    ONE_PER_PERSON,
    SOLD_OUT,
    insert_rsvp,
    write_rsvp,
)

if TYPE_CHECKING:
    import asyncpg

    from harness.model import Confirm, Expire, Hold, Operation, Release, Reserve
    from harness.specimens._statements import Returned, Ticket

_PLACES = """
    CREATE TABLE places (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ticket_id bigint NOT NULL REFERENCES tickets,
        event_id bigint NOT NULL,
        rsvp_id bigint REFERENCES rsvps,
        holder text,
        held_until timestamptz,
        token bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX ON places (ticket_id, id);
    CREATE INDEX ON places (rsvp_id);
    CREATE FUNCTION make_places() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO places (ticket_id, event_id)
        SELECT NEW.id, NEW.event_id FROM generate_series(1, NEW.quantity_initial);
        RETURN NULL;
    END $$;
    CREATE TRIGGER make_places AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION make_places();
"""
_FREE = "p.rsvp_id IS NULL AND (p.held_until IS NULL OR p.held_until <= clock_timestamp())"
_LEASED = "p.rsvp_id IS NULL AND p.held_until > clock_timestamp()"


class PlacesOffice(BoxOffice):
    """Sells and leases places, one at a time."""

    supports = HOLDING - {Feature.QUANTITY}
    constraints = ONE_PER_PERSON + _PLACES
    available = f"(SELECT count(*) FROM places p WHERE p.ticket_id = t.id AND {_FREE})"  # noqa: S608  # our own SQL
    holds = (
        "(SELECT p.id || '-' || p.token AS id, p.ticket_id, p.holder AS user_id, 1 AS quantity,"  # noqa: S608  # our own SQL
        f" 'held' AS status FROM places p WHERE {_LEASED})"
    )

    @property
    def ledger(self) -> None:
        """A lease runs out by the clock, and no commit tells of it."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Take a free place over, and write the RSVP on it."""
        async with self.transaction(db, ticket):
            if await _has_something(db, ticket, operation):
                return DUPLICATE
            lease = await _take_over(db, ticket, operation)
            if lease is None:
                return SOLD_OUT
            answer = await insert_rsvp(db, ticket, operation)
            await db.execute(
                "UPDATE places SET rsvp_id = $2 WHERE id = $1", lease["id"], int(answer.reservation or 0)
            )
            return answer

    async def hold(self, db: asyncpg.Connection, ticket: Ticket, operation: Hold) -> Answer:
        """Take a free place over. Its number and the token name the lease."""
        async with self.transaction(db, ticket):
            if await _has_something(db, ticket, operation):
                return DUPLICATE
            lease = await _take_over(db, ticket, operation)
        if lease is None:
            return SOLD_OUT
        return Answer(Outcome.ACCEPTED, reservation=f"{lease['id']}-{lease['token']}")

    async def confirm(self, db: asyncpg.Connection, ticket: Ticket, operation: Confirm) -> Answer:
        """Write the RSVP on the place, if the lease is still the one that was paid for."""
        place, token = lease_of(operation.hold)
        async with db.transaction():
            rsvp = await write_rsvp(db, ticket, operation.person)
            mine = await db.fetchval(
                "UPDATE places SET rsvp_id = $3"
                " WHERE id = $1 AND token = $2 AND rsvp_id IS NULL AND held_until > clock_timestamp()"
                " RETURNING id",
                place,
                token,
                rsvp,
            )
            if mine is None:
                raise LeaseLostError
        return Answer(Outcome.ACCEPTED, reservation=str(rsvp))

    async def handle(self, db: asyncpg.Connection, ticket: Ticket, operation: Operation) -> Answer:
        """Do one operation; a lease that was lost is a hold that is not there."""
        try:
            return await super().handle(db, ticket, operation)
        except LeaseLostError:
            return NO_SUCH_HOLD

    async def release(self, db: asyncpg.Connection, ticket: Ticket, operation: Release) -> Answer:  # noqa: ARG002  # the lease says it all
        """Let the lease be over, if it is still the same one."""
        place, token = lease_of(operation.hold)
        released = await db.fetchval(
            "UPDATE places SET held_until = NULL, token = token + 1"
            " WHERE id = $1 AND token = $2 AND rsvp_id IS NULL AND held_until IS NOT NULL RETURNING id",
            place,
            token,
        )
        return NO_SUCH_HOLD if released is None else DONE

    async def run_out(self, db: asyncpg.Connection, ticket: Ticket, operation: Expire) -> None:
        """Let an hour pass for the person's lease."""
        await db.execute(
            "UPDATE places SET held_until = now() - interval '1 hour'"
            " WHERE ticket_id = $1 AND holder = $2 AND rsvp_id IS NULL AND held_until IS NOT NULL",
            ticket.id,
            operation.person,
        )

    async def sweep(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:  # noqa: ARG002  # nothing to do
        """Do nothing: who comes next takes over."""
        return DONE

    async def restock(self, db: asyncpg.Connection, returned: Returned) -> None:
        """Free the place of a cancelled RSVP."""
        await db.execute(
            "UPDATE places SET rsvp_id = NULL, held_until = NULL, token = token + 1 WHERE rsvp_id = $1",
            returned.rsvp,
        )


class LeaseLostError(Exception):
    """Raised within a transaction to undo it: the lease is over, or somebody else's."""


def lease_of(hold: str | None) -> tuple[int, int]:
    """Return the number of the place and the token that a lease is named after."""
    place, _, token = (hold or "0-0").partition("-")
    return int(place), int(token)


async def _take_over(
    db: asyncpg.Connection, ticket: Ticket, operation: Reserve | Hold
) -> asyncpg.Record | None:
    return await db.fetchrow(
        "UPDATE places SET holder = $2, held_until = clock_timestamp() + interval '10 minutes',"  # noqa: S608  # our own SQL
        f" token = token + 1 WHERE id = (SELECT min(p.id) FROM places p WHERE p.ticket_id = $1 AND {_FREE})"
        " AND rsvp_id IS NULL RETURNING id, token",
        ticket.id,
        operation.person,
    )


async def _has_something(db: asyncpg.Connection, ticket: Ticket, operation: Reserve | Hold) -> bool:
    return bool(
        await db.fetchval(
            "SELECT EXISTS ("  # noqa: S608  # our own SQL
            " SELECT FROM rsvps WHERE event_id = $1 AND user_id = $2 AND status = 'confirmed'"
            f" UNION ALL SELECT FROM places p WHERE p.event_id = $1 AND p.holder = $2 AND {_LEASED})",
            ticket.event_id,
            operation.person,
        )
    )
