"""Whether the every-commit audit keeps up: decoding and judging beside pgbench on one hot ticket.

pgbench with 16 clients calls ``create_rsvp`` for one ticket type as fast as it can. First in turns: so many
commits a second it makes while nobody reads the log, then how fast the auditor catches up with them, decoding
and judging each. The median of each turn's ratio is what to keep. Then both at once for a while: how far the
auditor is behind at the end, and at worst, and how the memory of its process grows.

Run: ``python -m benchmarks.audit [--quick] [--minutes N]``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import pgbench
from benchmarks.figures import HEAD, Measured, Said
from harness.driving.auditing import AuditMode, audited, in_words
from harness.driving.guard import install, started
from harness.model import TicketType
from harness.postgres import provision
from harness.targets.sql import SqlTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.driving.auditing import Auditor

CLIENTS = 16
STOCK = 2_000_000_000
_KEPT_UP = 1.2
_MOST_LAG = 1.0
_MOST_GROWTH = 8.0
"""MiB by which memory may grow and still count as flat: the allocator's own moods."""
_WARM = 0.2
"""Share of the load after which memory is measured: until then, caches fill."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at the memory."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The hot ticket, and who audits it."""

    database: str
    script: str
    auditor: Auditor


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen while pgbench and the auditor were at work together."""

    seconds: float
    rate: float
    lag: float
    """At the end, in seconds."""
    worst: float
    commits: int
    memory: tuple[float, ...]
    """Resident MiB of this process, over time."""

    @property
    def growth(self) -> float:
        """By how many MiB memory grew once it was warm."""
        warm = self.memory[int(len(self.memory) * _WARM) :]
        return max(warm[-max(1, len(warm) // 10) :]) - warm[0]


def measured(quick: bool, minutes: float | None = None) -> Iterator[Measured | Said]:
    """Yield one figure after another.

    :param minutes: how long both are at work together; by default 5, or a few seconds when it is to be quick.
    """
    turns, seconds = (3, 2) if quick else (5, 10)
    together = 60 * (minutes if minutes is not None else 0.1 if quick else 5)
    rates, load = asyncio.run(_measure(turns, seconds, together))
    what = f"audit, pgbench x {CLIENTS} on one ticket"
    yield Measured(f"{what}: commits made alone", "/s", [made for made, _ in rates])
    yield Measured(f"{what}: commits decoded and judged", "/s", [judged for _, judged in rates])
    yield Measured(
        f"{what}: judged / made",
        "",
        [judged / made for made, judged in rates],
        f">= {_KEPT_UP}",
        lambda median: median >= _KEPT_UP,
    )
    both = f"{what}, {load.seconds:.0f} s together"
    yield Measured(f"{both}: commits made", "/s", [load.rate])
    yield Measured(f"{both}: lag at the end", "s", [load.lag], "< 1 s", lambda lag: lag < _MOST_LAG)
    yield Measured(f"{both}: lag at worst", "s", [load.worst])
    yield Measured(
        f"{both}: growth of memory ({load.commits:,} commits)",
        "MiB",
        [load.growth],
        "flat",
        lambda growth: growth <= _MOST_GROWTH,
    )


async def _measure(turns: int, seconds: int, together: float) -> tuple[list[tuple[float, float]], Load]:
    async with _shop() as shop:
        rates = [await _turn(shop, seconds) for _ in range(turns)]
        return rates, await _together(shop, round(together))


@contextlib.asynccontextmanager
async def _shop() -> AsyncIterator[Shop]:
    """Put the ticket on sale, and have it followed."""
    target, tickets = SqlTarget(), (TicketType(name="general", initial=STOCK),)
    async with provision("embedded") as server:
        template = await server.create_template(lambda url: install(target, url), label="audit")
        async with (
            server.clone(template, "audit") as url,
            started(target, url, Path()) as running,
            audited(url, target, running, most_kept=0) as auditor,
        ):
            assert auditor.mode is AuditMode.EVERY_COMMIT, in_words(auditor)
            sale = await running.open_sale(tickets)
            await auditor.open(sale, tickets)
            yield Shop(
                url,
                pgbench.PURCHASE.format(event=sale.event_of["general"], ticket=sale.tickets["general"]),
                auditor,
            )


async def _turn(shop: Shop, seconds: int) -> tuple[float, float]:
    """Return how many commits a second are made, and are judged afterwards."""
    before = (await shop.auditor.catch_up()).commits
    made = await pgbench.rate(shop.script, shop.database, clients=CLIENTS, seconds=seconds)
    begun = time.perf_counter()
    progress = await shop.auditor.catch_up()
    judged = (progress.commits - before) / (time.perf_counter() - begun)
    assert not shop.auditor.trouble, shop.auditor.trouble
    return made, judged


async def _together(shop: Shop, seconds: int) -> Load:
    """Make commits and judge them at the same time."""
    before = (await shop.auditor.catch_up()).commits
    lags: list[float] = []
    memory: list[float] = []
    over = asyncio.Event()

    async def follow() -> None:
        while not over.is_set():
            lags.append((await shop.auditor.catch_up()).lag_seconds)
            await asyncio.sleep(0)

    async def look() -> None:
        while not over.is_set():
            memory.append(_resident())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _LOOK_EVERY)

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        group.create_task(look())
        rate = await pgbench.rate(shop.script, shop.database, clients=CLIENTS, seconds=seconds)
        lag = shop.auditor.lag_seconds
        over.set()
    assert not shop.auditor.trouble, shop.auditor.trouble
    commits = shop.auditor.commits() - before
    return Load(seconds, rate, lag, max(lags), commits, tuple(memory))


def _resident() -> float:
    """Return this process's memory in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds of each")
    parser.add_argument("--minutes", type=float, help="how long pgbench and the audit are at work together")
    given = parser.parse_args()
    print(HEAD)
    for figure in measured(given.quick, given.minutes):
        print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
