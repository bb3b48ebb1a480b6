"""How fast faults are fired, and whether the same seed gives the same table.

Run: ``python -m benchmarks.faults [--quick]``. The rate is that of the engine's own loop: fresh stock, the
scenario with one fault in it, settling, the probe and all laws. Crashes of Postgres are not among them, and
have a figure of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import HEAD, Measured
from harness.content import content
from harness.driving.checking import Subject, check
from harness.driving.guard import install, started
from harness.driving.scenarios import load_scenarios
from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.faulting.enumeration import Clean, cells
from harness.faulting.fault import Turn
from harness.faulting.theatre import House, ground_of
from harness.laws import judge
from harness.model import Mark
from harness.postgres import Reaper, connect, provision
from harness.postgres.embedded import run_postmaster
from harness.targets import resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.model import FaultTable, Scenario, Target
    from harness.postgres import Server

_TIMEOUT = 10.0
_PROMISED = {"sql": 20.0, "service": 8.0}
_SECONDS_OF_ALL = 60.0
_FOUR = (
    ("no_leak", "killed"),
    ("no_leak", "answer lost"),
    ("no_oversell", "answer replaced"),
    ("one_per_person", "sent twice"),
)
"""What the published flow must be seen to do."""


def main(quick: bool = False) -> None:
    """Measure, and print one table."""
    print(HEAD)
    for figure in measured(quick):
        print(figure.row(), flush=True)


def measured(quick: bool) -> Iterator[Measured]:
    """Yield one figure after another."""
    yield from asyncio.run(_measured(quick))


async def _measured(quick: bool) -> list[Measured]:
    rounds, tables = (1, 3) if quick else (5, 10)
    async with provision("embedded") as server:
        rates = [
            Measured(
                f"faults fired over `{spec}`, each judged",
                "/s",
                await _rates(server, spec, rounds),
                f">= {promised:g}",
                functools.partial(operator.le, promised),
            )
            for spec, promised in _PROMISED.items()
        ]
        return [*rates, await _cycles(rounds), await _four(server), await _same(server, tables)]


async def _cycles(rounds: int) -> Measured:
    """Measure from an immediate shutdown, with fsync on and a transaction open, to the next answer."""
    values = []
    with Reaper() as reaper:
        async with run_postmaster(reaper, durable=True) as postmaster:
            for _ in range(rounds * 4):
                session = await connect(postmaster.url)
                await session.execute("CREATE TABLE IF NOT EXISTS written (n int)")
                await session.execute("BEGIN; INSERT INTO written VALUES (1)")
                begun = time.monotonic()
                await postmaster.crash()
                await postmaster.come_back()
                after = await connect(postmaster.url)
                left = await after.fetchval("SELECT count(*) FROM written")
                values.append(time.monotonic() - begun)
                session.terminate()
                await after.close()
                if left:
                    raise AssertionError("what was never committed is there")
    return Measured("crash and recovery, with fsync", "s", values, "< 1 s", lambda median: median < 1)


async def _rates(server: Server, spec: str, rounds: int) -> list[float]:
    """Return how many faults a second were fired in the last ticket's scenario, round by round.

    Those apart that consist of waiting: processes and servers that come back, rows that stay locked.
    """
    target, scenario = resolve(spec), _scenario("last_ticket")
    rates = []
    async with _database(server, target) as (url, folder):
        house = House(url, lambda at: started(target, at, folder), ground_of(target), None, timeout=_TIMEOUT)
        async with house:
            theatre = await house.theatre()
            plain = await theatre.perform(scenario)
            todo = cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
            quick = {name for name, fault in theatre.faults.items() if fault.turn is not Turn.LAST}
            todo = [each for each in todo if each.fault in quick and not theatre.faults[each.fault].keyed]
            for _ in range(rounds):
                begun = time.monotonic()
                for injection in todo:
                    performance = await theatre.perform(scenario, (injection,))
                    if not performance.fired or judge(performance.evidence).violations:
                        raise AssertionError(f"{injection.fault} did not fire, or was not survived")
                rates.append(len(todo) / (time.monotonic() - begun))
    return rates


async def _four(server: Server) -> Measured:
    """Measure how long it takes until all four mistakes of the published flow are found."""
    begun = time.monotonic()
    table = await _table(server, "enough_for_everybody", Settings(seed=1, fault_pairs=0))
    found = {(finding.law, finding.fault) for finding in table.findings}
    missing = [mistake for mistake in _FOUR if mistake not in found]
    if missing:
        raise AssertionError(f"not found: {missing}")
    return Measured(
        "the four mistakes of `specimen:compensating`, one scenario",
        "s",
        [time.monotonic() - begun],
        f"<= {_SECONDS_OF_ALL:g}",
        lambda value: value <= _SECONDS_OF_ALL,
    )


async def _same(server: Server, times: int) -> Measured:
    """Measure how often the same seed gives the same table."""
    settings = Settings(seed=1, fault_pairs=20)
    tables = [await _table(server, "last_ticket", settings) for _ in range(times)]
    if any(table.count(Mark.UNEXPLORED) for table in tables):
        raise AssertionError("there was not enough time")
    same = sum(table == tables[0] for table in tables)
    return Measured(
        f"same table of {times}, same seed", "", [float(same)], f"{times}", lambda value: value == times
    )


async def _table(server: Server, scenario: str, settings: Settings) -> FaultTable:
    target = resolve("specimen:compensating")
    template = await server.create_template(lambda at: install(target, at))
    with tempfile.TemporaryDirectory(prefix="oversell-bench-") as folder:
        subject = Subject(target=target, name=target.name, folder=Path(folder), settings=settings)
        done = await check(
            subject,
            _scenario(scenario),
            ENGINES.get("faults"),
            database=server.clone(template, "faults"),
            listen=lambda _: None,
        )
    if done.faults is None:
        raise AssertionError(done.reasons)
    return done.faults


@contextlib.asynccontextmanager
async def _database(server: Server, target: Target) -> AsyncIterator[tuple[str, Path]]:
    template = await server.create_template(lambda at: install(target, at))
    with tempfile.TemporaryDirectory(prefix="oversell-bench-") as folder:
        async with server.clone(template, "faults") as url:
            yield url, Path(folder)


def _scenario(name: str) -> Scenario:
    return load_scenarios([content("scenarios")])[name].build(2)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
