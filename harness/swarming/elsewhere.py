"""Elsewhere: part of a long history judged in a process of its own, so that a second core has work as well.

To judge millions of records takes longer than to make some loads, and laws are pure functions of one sale:
whoever judges it needs nothing but its history, which is on disk, and what was read of its books. A sale in
which a law was broken is left to whoever asked, who may want to look at its books once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.driving.tally import Tally
from harness.model import Entry, Evidence
from harness.postgres import Reaper
from harness.swarming.joining import uncollected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from harness.model import Books, Scenario
    from harness.model.events import Event
    from harness.swarming.disturbance import Disturbance
    from harness.swarming.joining import Survey

WORTH_IT = 200_000
"""Records from which on it is quicker to start another process."""
_PATIENCE = 600.0
"""Seconds after which it is judged here what was to be judged there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be judged, and what that takes beside the history."""

    survey: Survey
    scenario: Scenario
    engine: str
    laws: tuple[str, ...] | None
    seen: Mapping[int, tuple[Books, tuple[Books, ...]]]
    """The final books and the states on the way, by the number of each sale that is to be judged."""
    disturbance: Disturbance | None = None
    """What was broken on purpose meanwhile."""

    def packed(self) -> bytes:
        """Return the job as it goes into a file."""
        seen = {number: (_packed(books), states) for number, (books, states) in self.seen.items()}
        return pickle.dumps((replace(self, seen={}), seen), pickle.HIGHEST_PROTOCOL)

    @classmethod
    def unpacked(cls, data: bytes) -> Job:
        """Return the job of a file."""
        job: Job
        job, packed = pickle.loads(data)  # noqa: S301  # written by a process of ours
        seen = {number: (_unpacked(*books), states) for number, (books, states) in packed.items()}
        return replace(job, seen=seen)


def _packed(books: Books) -> tuple[Books, list[tuple[str, str, int, str | None]] | None]:
    """Return books without their reservations, and these as plain data: they are many."""
    entries = books.entries
    if entries is None:
        return books, None
    plain = [(entry.ticket, entry.person, entry.quantity, entry.reservation) for entry in entries]
    return replace(books, entries=None), plain


def _unpacked(books: Books, plain: list[tuple[str, str, int, str | None]] | None) -> Books:
    if plain is None:
        return books
    entries = (
        Entry(ticket=ticket, person=person, quantity=quantity, reservation=reservation)
        for ticket, person, quantity, reservation in plain
    )
    return replace(books, entries=tuple(entries))


@dataclass(slots=True)
class Elsewhere:
    """A job that another process does. Made by :func:`elsewhere`."""

    _process: asyncio.subprocess.Process
    _result: Path

    async def done(self) -> tuple[Tally, frozenset[int]] | None:
        """Return what came of it: a tally, and the numbers of the sales in it; ``None`` when nothing did."""
        try:
            async with asyncio.timeout(_PATIENCE):
                code = await self._process.wait()
        except TimeoutError:
            return None
        if code:
            return None
        tally, numbers = pickle.loads(self._result.read_bytes())  # noqa: S301  # written by a process of ours
        return tally, numbers


@contextlib.asynccontextmanager
async def elsewhere(job: Job, folder: Path) -> AsyncIterator[Elsewhere]:
    """Have a job done by another process for the length of a block.

    :param folder: for its files, which do not outlast the block.
    """
    asked, result = folder / "job.pickle", folder / "result.pickle"
    log = folder / "judging.log"
    try:
        await asyncio.to_thread(asked.write_bytes, job.packed())
        with Reaper() as reaper, log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __package__,
                str(asked),
                str(result),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            reaper.watch_process_group(process.pid)
            try:
                yield Elsewhere(process, result)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                reaper.release(process.pid)
    finally:
        for path in (asked, result):
            path.unlink(missing_ok=True)


def judge(job: Job) -> tuple[Tally, frozenset[int]]:
    """Judge a job, and return the tally of the sales in which no law was broken, and their numbers."""
    tally = Tally(scenario=job.scenario, engine=job.engine, laws=job.laws, listen=_nobody)
    held: set[int] = set()
    for number, history in job.survey.histories(job.seen):
        books, states = job.seen[number]
        evidence = Evidence(scenario=job.scenario, history=history, books=books, states=states)
        if job.disturbance is not None:
            evidence = job.disturbance.told(number, evidence)
        if not tally.judge(evidence).violations:
            if job.disturbance is None:
                tally.add(evidence)
            else:
                tally.add_broken(evidence, job.disturbance.broke)
            held.add(number)
    tally.forget()
    return tally, frozenset(held)


def _nobody(_: Event) -> None:
    """Listen to nothing: whoever asked tells what came of it."""


def do(asked: Path, result: Path) -> None:
    """Do the job in one file, and write what came of it into another."""
    with uncollected():
        done = judge(Job.unpacked(asked.read_bytes()))
    result.write_bytes(pickle.dumps(done, pickle.HIGHEST_PROTOCOL))
