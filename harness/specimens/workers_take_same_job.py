"""Requests are jobs in a table; all workers are told of a new one, and each takes the first that is not done.

The jobs are in a table so that none gets lost, and each is done in a transaction. But all workers wake up at
the same moment, as LISTEN and NOTIFY do it, and all see the same first job, new. Each of them does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._jobs import JobShop, do_job
from harness.specimens._specimen import Mistake, Specimen

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


class WorkersTakeSameJob(JobShop):
    """See the module."""

    name = "workers_take_same_job"

    async def work(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Find the first, and do it."""
        job = await db.fetchrow(
            "SELECT id, user_id, quantity FROM jobs WHERE ticket_id = $1 AND status = 'new'"
            " ORDER BY id LIMIT 1",
            ticket.id,
        )
        if job is not None:
            async with db.transaction():
                await do_job(db, ticket, job)


SPECIMEN = Specimen(
    name="workers_take_same_job",
    doc=__doc__ or "",
    target=WorkersTakeSameJob(),
    mistake=Mistake(
        laws=frozenset({"one_per_person"}),
        scenario="enough_for_everybody",
        engine="explore",
        source="djjob, issue 2: when running many simultaneous workers, a job can be run twice",
    ),
)
