"""A shop that writes requests into a table, from which workers take one after the other."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING

import asyncpg

from harness.model import Answer, Outcome
from harness.specimens._shop import Shop
from harness.specimens._statements import DUPLICATE, SOLD_OUT, take_units, write_rsvp

if TYPE_CHECKING:
    from harness.model import Reserve
    from harness.specimens._statements import Ticket

JOBS = """
    CREATE TABLE jobs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ticket_id bigint NOT NULL REFERENCES tickets,
        user_id text NOT NULL,
        quantity integer NOT NULL,
        status text NOT NULL DEFAULT 'new',
        rsvp_id bigint
    );
    CREATE INDEX ON jobs (ticket_id) WHERE status = 'new';
"""
_PASSING = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_REFUSED = {"sold out": SOLD_OUT, "duplicate": DUPLICATE}


class JobShop(Shop):
    """Subclasses say how a worker takes a job. Whoever waits for an answer works as well."""

    constraints = JOBS

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        """Queue the request, and work until it is done."""
        mine = await db.fetchval(
            "INSERT INTO jobs (ticket_id, user_id, quantity) VALUES ($1, $2, $3) RETURNING id",
            ticket.id,
            operation.person,
            operation.quantity,
        )
        while True:
            job = await db.fetchrow("SELECT status, rsvp_id FROM jobs WHERE id = $1", mine)
            if job["status"] == "sold":
                return Answer(Outcome.ACCEPTED, reservation=str(job["rsvp_id"]))
            if job["status"] in _REFUSED:
                return _REFUSED[job["status"]]
            # Whatever the work ran into, the job stands, and may be done by others; so nobody is refused.
            with contextlib.suppress(*_PASSING):
                await self.work(db, ticket)

    @abstractmethod
    async def work(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Take a job, if there is one, and do it."""


async def do_job(db: asyncpg.Connection, ticket: Ticket, job: asyncpg.Record) -> None:
    """Sell what a job asks for, and write down what came of it; within a transaction."""
    rsvp, status = None, "sold"
    try:
        async with db.transaction():
            if await take_units(db, ticket, job["quantity"]):
                rsvp = await write_rsvp(db, ticket, job["user_id"], job["quantity"])
            else:
                status = "sold out"
    except asyncpg.UniqueViolationError:
        status = "duplicate"
    await db.execute("UPDATE jobs SET status = $2, rsvp_id = $3 WHERE id = $1", job["id"], status, rsvp)
