"""How long it takes to join what many workers recorded, and to judge it.

``python -m benchmarks.join`` simulates a right system that sells to the buyers of four workers in several
sales, and writes down what each worker would have sent. Then it measures what the engine does with that: both
readings of the files, one history for each sale, and all laws about it, through the same tally and in two
processes. Their peak memory is that of nothing else. ``make bench`` does it too.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import HEAD, Measured  # noqa: E402  # found by the line above
from harness.content import content  # noqa: E402
from harness.driving.scenarios import load_scenarios  # noqa: E402
from harness.driving.tally import Tally  # noqa: E402
from harness.load.messages import Chunk, Ended  # noqa: E402
from harness.load.records import Record, pack  # noqa: E402
from harness.model import (  # noqa: E402
    Answer,
    Books,
    Cancel,
    Entry,
    Evidence,
    Outcome,
    ReadAvailability,
    Reserve,
    Stock,
    Verdict,
)
from harness.swarming.elsewhere import Job, elsewhere  # noqa: E402
from harness.swarming.gathering import Gatherer  # noqa: E402
from harness.swarming.joining import survey, uncollected  # noqa: E402
from harness.swarming.sales import scaled  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Operation

WORKERS = 4
USERS = 50
"""Of each worker."""
SALES = 20
CHUNK = 2000
_MEAN = 2_000_000.0
"""Nanoseconds from invocation to effect, and from effect to answer, on average."""
_SOLD_OUT = Answer(Outcome.SOLD_OUT)


@dataclass(slots=True)
class _Shop:
    """A right target, one sale of it."""

    left: int
    has: dict[str, str] = field(default_factory=dict)
    names: int = 0

    def serve(self, operation: Operation) -> Answer:
        """Let the operation take effect."""
        match operation:
            case Reserve(person=person) if self.left:
                self.left -= 1
                self.names += 1
                self.has[person] = str(self.names)
                return Answer(Outcome.ACCEPTED, reservation=self.has[person], remaining=self.left)
            case Cancel(person=person):
                del self.has[person]
                self.left += 1
                return Answer(Outcome.ACCEPTED)
            case ReadAvailability():
                return Answer(Outcome.ACCEPTED, remaining=self.left)
            case _:
                return _SOLD_OUT

    def books(self, initial: int) -> Books:
        """Return what is left, and who has what."""
        entries = tuple(
            Entry(ticket="general", person=person, reservation=name) for person, name in self.has.items()
        )
        return Books(stock=(Stock(ticket="general", initial=initial, remaining=self.left),), entries=entries)


@dataclass(slots=True)
class _Worker:
    """What one worker sends."""

    name: str
    gatherer: Gatherer
    parts: list[bytes] = field(default_factory=list)
    chunks: int = 0
    records: int = 0

    async def add(self, record: Record) -> None:
        self.parts.append(pack(record))
        if len(self.parts) == CHUNK:
            await self.send()

    async def send(self) -> None:
        chunk = Chunk(self.name, self.chunks, len(self.parts), b"".join(self.parts))
        await self.gatherer.take(chunk)
        self.chunks += 1
        self.records += len(self.parts)
        self.parts = []


async def simulate(folder: Path, size: int) -> None:
    """Write down so many records, and the books of each sale."""
    luck = Random(5)  # noqa: S311  # nobody has to guess it
    with closing(Gatherer(folder / "history")) as gatherer:
        workers = [_Worker(f"worker-{number}", gatherer) for number in range(WORKERS)]
        stock = size // SALES // 2
        now = 0.0
        for sale in range(SALES):
            shop = _Shop(stock)
            now = await _sale(sale, shop, size // SALES, workers, luck, now)
            (folder / f"{sale}.books").write_bytes(pickle.dumps(shop.books(stock)))
        for worker in workers:
            await worker.send()
            await gatherer.end(Ended(worker.name, worker.chunks, worker.records, 0))


async def _sale(
    sale: int, shop: _Shop, size: int, workers: list[_Worker], luck: Random, begun: float
) -> float:
    """Let buyers visit one sale until so much was asked, and return when it ended."""
    turns: list[tuple[float, int, tuple[Operation, float, Answer | None] | None]] = [
        (begun + luck.random() * _MEAN, user, None) for user in range(WORKERS * USERS)
    ]
    heapq.heapify(turns)
    asked, people, now = 0, 0, begun
    own: dict[int, str] = {}
    """Who wants to give back what they got, by user."""
    while turns:
        now, user, under_way = heapq.heappop(turns)
        later = now + 1 + luck.expovariate(1 / _MEAN)
        worker = user % WORKERS
        if under_way is None:
            if asked < size:
                asked += 1
                people += 1
                person = own.pop(user, "")
                operation: Operation = Reserve(ticket="general", person=f"{worker}-{sale}-{people}")
                if person:
                    operation = Cancel(ticket="general", person=person, reservation=shop.has[person])
                elif luck.random() < 0.1:
                    operation = ReadAvailability(ticket="general", person=operation.person)
                heapq.heappush(turns, (later, user, (operation, now, None)))
            continue
        operation, invoked, answer = under_way
        if answer is None:
            heapq.heappush(turns, (later, user, (operation, invoked, shop.serve(operation))))
            continue
        person = operation.person
        if isinstance(operation, Reserve) and answer.outcome is Outcome.ACCEPTED and luck.random() < 0.1:
            own[user] = person
        await workers[worker].add(Record(sale, person, operation, answer, int(invoked), int(now)))
        heapq.heappush(turns, (now + 1, user, None))
    return now


async def judge(folder: Path) -> dict[str, float]:
    """Join and judge what was written down, in two processes as the engine does, and return what it took."""
    scenario = load_scenarios([content("scenarios")])["rush"].build()
    tally = Tally(scenario=scenario, engine="swarm", laws=None, listen=lambda _: None)
    begun = time.perf_counter()
    with uncollected():
        found = survey(folder / "history")
        read = time.perf_counter() - begun
        seen = {sale: (_books(folder, sale), ()) for sale in found.sales}
        (stock,) = seen[0][0].stock
        on_sale = replace(scenario, tickets=scaled(scenario.tickets, stock.initial))
        theirs = {sale: seen[sale] for sale in found.sales[len(found.sales) // 2 :]}
        job = Job(survey=found, scenario=on_sale, engine=tally.engine, laws=None, seen=theirs)
        async with elsewhere(job, folder) as other:
            for sale, history in found.histories(sale for sale in seen if sale not in theirs):
                tally.add(Evidence(scenario=on_sale, history=history, books=seen[sale][0]))
            done = await other.done()
    assert done is not None
    tally.merge(done[0])
    seconds = time.perf_counter() - begun
    check = tally.check()
    assert not found.troubles
    assert check.verdict is Verdict.SAFE, (check.reasons, check.violations)
    assert (check.operations, check.runs) == (found.records, SALES)
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in both)
    peak = sum(each.ru_maxrss for each in both) / 1024
    return {"seconds": seconds, "cpu": cpu, "read": read, "peak": peak}


def _books(folder: Path, sale: int) -> Books:
    books: Books = pickle.loads((folder / f"{sale}.books").read_bytes())  # noqa: S301  # ours
    return books


def measured(quick: bool) -> Iterator[Measured]:
    """Yield the figures."""
    size = 200_000 if quick else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(simulate(Path(folder), size))
        runs = [_in_process(folder) for _ in range(1 if quick else 2)]
    what = f"{size:,} records of {WORKERS} workers, {SALES} sales"
    seconds, peaks = [run["seconds"] for run in runs], [run["peak"] for run in runs]
    yield Measured(f"{what}: joined and judged", "s", seconds, "<= 30 s", lambda median: median <= 30)
    yield Measured(f"{what}: CPU time of both processes", "s", [run["cpu"] for run in runs])
    yield Measured(f"{what}: first reading alone", "s", [run["read"] for run in runs])
    yield Measured(
        f"{what}: peak memory of both processes", "MiB", peaks, "<= 2048 MiB", lambda median: median <= 2048
    )


def _in_process(folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--judge", folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=900)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, once")
    parser.add_argument("--judge", metavar="FOLDER", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.judge:
        print(json.dumps(asyncio.run(judge(Path(chosen.judge)))))
        return
    print(HEAD)
    for figure in measured(chosen.quick):
        print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
