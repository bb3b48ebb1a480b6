"""Requests are jobs in a table; a worker locks the first, does it, and marks it as done, in one transaction.

Whoever else wants the first job waits for it, and finds it done. So jobs of one ticket type are done one at
a time and in order, however many workers there are, and a job whose worker dies is new again. Right.

Whoever waits for an answer works as well, on anybody's job, so that already two buyers have thousands of
orders: a search is stopped by its time before they are exhausted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.specimens._jobs import JOBS, JobShop, do_job
from harness.specimens._specimen import Specimen
from harness.specimens._statements import ONE_PER_PERSON

if TYPE_CHECKING:
    import asyncpg

    from harness.specimens._statements import Ticket


class JobQueue(JobShop):
    """See the module."""

    name = "job_queue"
    constraints = ONE_PER_PERSON + JOBS

    async def work(self, db: asyncpg.Connection, ticket: Ticket) -> None:
        """Lock the first, and do it."""
        async with db.transaction():
            job = await db.fetchrow(
                "SELECT id, user_id, quantity FROM jobs WHERE ticket_id = $1 AND status = 'new'"
                " ORDER BY id LIMIT 1 FOR UPDATE",
                ticket.id,
            )
            if job is not None:
                await do_job(db, ticket, job)


SPECIMEN = Specimen(name="job_queue", doc=__doc__ or "", target=JobQueue())
