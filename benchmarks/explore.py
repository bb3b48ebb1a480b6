"""The explorer's figures, measured side by side in one run, with frontrun 0.7.0 and pgbouncer as peers.

Run: ``python -m benchmarks.explore [--quick]``, or through ``make bench``. Whatever is compared runs on
the same embedded Postgres, and ratios are taken turn by turn, since both sides of a turn share whatever else
the machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import proxy_throughput
from benchmarks.figures import HEAD, Measured, Said
from benchmarks.peers import frontrun_peer
from harness.content import content
from harness.driving.gate import OpenGate
from harness.driving.guard import install, started
from harness.driving.scenarios import load_scenarios
from harness.engines.explore import racing_phases
from harness.exploring.exploration import Budget, Exploration, ending
from harness.exploring.search import Search
from harness.exploring.stage import stage
from harness.laws import judge
from harness.postgres import provision
from harness.specimens import SPECIMENS
from harness.targets import resolve

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence

    from benchmarks.peers.frontrun_peer import Told
    from harness.exploring.stage import Performance, Stage
    from harness.model import Client, Running, Scenario
    from harness.postgres import Server

NAIVE = "specimen:check_then_decrement"
_TIMEOUT = 10.0
_PEER = f"frontrun {frontrun_peer.VERSION}"
_EXPLORE_SECONDS = 300.0
_EVERY_ORDER_SECONDS = 30.0
_REDUCED_AT_MOST = 2000


def main(quick: bool = False) -> None:
    """Measure, and print one table."""
    print(HEAD)
    for figure in measured(quick):
        print(figure.row(), flush=True)


def measured(quick: bool) -> Iterator[Measured | Said]:
    """Yield one figure after another."""
    for part in (races, rates, reduction):
        yield from asyncio.run(part(quick))
    seconds, turns = (1, 2) if quick else (2, 7)
    for throughput in asyncio.run(proxy_throughput.measure(seconds, turns)):
        yield from throughput.rows()


# The naive race.


async def races(quick: bool) -> list[Measured | Said]:
    """Measure the time to the first violation with two buyers, and to the last schedule with three."""
    firsts, everys, bound = (3, 1, 20.0) if quick else (20, 2, 60.0)
    async with provision("embedded") as server, Bench(server).database(NAIVE) as database:
        async with database.stage() as made:
            ours = await _ours(made, firsts, everys)
        try:
            async with frontrun_peer.environment() as programs:
                peer = await _peers(programs, database.url, firsts // 3, everys, bound)
        except frontrun_peer.PeerError as error:
            peer = [Said(_PEER, f"not measured: {error}")]
    return [*ours, *peer]


async def _ours(made: Stage, firsts: int, everys: int) -> list[Measured | Said]:
    first = [await _explored(made, scenario_of("last_ticket", 2), first=True) for _ in range(firsts)]
    every = [await _explored(made, scenario_of("last_ticket", 3)) for _ in range(everys)]
    what, all_of_them = "naive race, 2 buyers, first violation", "naive race, 3 buyers, every schedule"
    return [
        Measured(f"{what}", "s", [one.seconds for one in first], "<= 2 s", lambda median: median <= 2),
        Measured(f"{what}: schedules", "", [one.runs for one in first]),
        Measured(
            f"{all_of_them}", "s", [one.seconds for one in every], "<= 60 s", lambda median: median <= 60
        ),
        Measured(f"{all_of_them}: schedules", "", [one.schedules for one in every]),
        Measured(f"{all_of_them}: orders they stand for", "", [one.orders for one in every]),
        Said(
            f"{all_of_them}: what was seen",
            f"exhausted {sum(one.exhausted for one in every)} of {len(every)}; "
            f"tickets sold: {_numbers(number for one in every for number in one.sold)}",
        ),
    ]


async def _peers(programs: Path, url: str, firsts: int, everys: int, bound: float) -> list[Measured | Said]:
    rows: list[Measured | Said] = []
    for kept in (True, False):
        where = "connections opened beforehand" if kept else "a connection for each buyer"
        # Without a connection at hand it takes as long as it may, so that once is enough.
        for buyers, every, runs in ((2, False, firsts), (3, True, everys if kept else 1)):
            told = [
                await frontrun_peer.explore(
                    programs, url, buyers=buyers, every=every, seconds=bound, kept=kept
                )
                for _ in range(max(1, runs))
            ]
            what = "every interleaving" if every else "first violation"
            rows += _told(f"{_PEER}, {where}, {buyers} buyers, {what}", told, bound)
    return rows


def _told(what: str, told: Sequence[Told], bound: float) -> list[Measured | Said]:
    seen = (
        f"came to a result {sum(one.finished for one in told)} of {len(told)} within {bound:g} s; "
        f"violation found {sum(one.violated for one in told)}; "
        f"tickets sold: {_numbers(number for one in told for number in one.outcomes)}"
    )
    return [
        Measured(what, "s", [one.seconds for one in told]),
        Measured(f"{what}: runs", "", [one.runs for one in told]),
        Said(f"{what}: what was seen", seen),
    ]


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers)))) or "none"


@dataclass(frozen=True, slots=True)
class Explored:
    """One exploration of ours."""

    seconds: float
    runs: int
    schedules: int
    orders: int
    exhausted: bool
    sold: frozenset[int]
    """How many tickets were sold at the end of a run: the different numbers."""


async def _explored(made: Stage, scenario: Scenario, *, first: bool = False) -> Explored:
    """Explore once, up to the first violation or to the end."""
    exploration = Exploration(made, scenario, 0, await made.monitor.conflicts(None))
    runs, sold = 0, set()
    begun = time.perf_counter()
    async for performance in exploration.performances(_budget(100_000, _EXPLORE_SECONDS)):
        runs += 1
        broken = judge(performance.evidence).violations
        sold.add(len(performance.evidence.books.entries or ()))
        if broken and first:
            break
    seconds = time.perf_counter() - begun
    done, stand_for = exploration.schedules, exploration.orders
    return Explored(seconds, runs, done, stand_for, exploration.exhausted, frozenset(sold))


# Schedules per second.


async def rates(quick: bool) -> list[Measured | Said]:
    """Measure schedules per second behind proxy and conductor, and the same calls without them."""
    turns, runs = (5, 10) if quick else (40, 25)
    async with provision("embedded") as server:
        bench = Bench(server)
        return [
            *await _rate(bench, "sql", 1 / 3, turns, runs),
            *await _rate(bench, "service", 1 / 6, turns, runs),
        ]


async def _rate(bench: Bench, spec: str, least: float, turns: int, runs: int) -> list[Measured | Said]:
    """Take turns of the same number of runs both ways, on one database, so that both find it alike."""
    scenario = scenario_of("last_ticket", 2)
    direct, explored = [], []
    async with (
        bench.database(spec) as database,
        database.stage() as made,
        database.direct() as calls,
        contextlib.aclosing(_again_and_again(made, scenario)) as performances,
        contextlib.aclosing(_directly(calls, scenario)) as directly,
    ):
        await _seconds_each(directly, runs)
        await _seconds_each(performances, runs)
        for _ in range(turns):
            direct.append(1 / await _seconds_each(directly, runs))
            explored.append(1 / await _seconds_each(performances, runs))
    share = [ours / theirs for ours, theirs in zip(explored, direct, strict=True)]
    return [
        Measured(f"`{spec}`: direct SQL, the same calls", "/s", direct),
        Measured(f"`{spec}`: schedules", "/s", explored),
        Measured(f"`{spec}` / direct", "", share, f">= {least:.2f}", lambda median: median >= least),
    ]


async def _seconds_each(runs: AsyncIterator[Any], number: int) -> float:
    begun = time.perf_counter()
    for _ in range(number):
        await anext(runs)
    return (time.perf_counter() - begun) / number


async def _again_and_again(made: Stage, scenario: Scenario) -> AsyncGenerator[Performance, None]:
    """Explore and judge, and begin again at the end."""
    conflicts = await made.monitor.conflicts(None)
    while True:
        async for performance in Exploration(made, scenario, 0, conflicts).performances(
            _budget(10_000, _EXPLORE_SECONDS)
        ):
            judge(performance.evidence)
            yield performance


@dataclass(frozen=True, slots=True)
class Calls:
    """A target without anything between it and its database, and its clients."""

    running: Running
    clients: Sequence[Client]


async def _directly(calls: Calls, scenario: Scenario) -> AsyncGenerator[None, None]:
    """Do what a schedule does: open a sale, let one buyer go after the other, read the books."""
    while True:
        sale = await calls.running.open_sale(scenario.tickets)
        for program, client in zip(scenario.phases[0].programs, calls.clients, strict=True):
            for operation in program.operations:
                await client.perform(sale, operation, OpenGate())
        await calls.running.books(sale)
        yield None


# The reduction.


class EveryOrder(Exploration):
    """An exploration that takes every two steps for dependent and every two clients for different."""

    def _search(self) -> Search:
        clients = [program.client for program in self.scenario.phases[self.phase].programs]
        return Search(replace(self.conflicts, outside=True), clients=clients)


@dataclass(frozen=True, slots=True)
class Reduced:
    """What one specimen with two buyers took, both ways."""

    name: str
    reduced: int
    every: int
    finished: bool
    """Every order was run, so that the endings can be compared."""
    same: bool
    """The endings and the laws broken were the same; where not every order was run, none was new."""


async def reduction(quick: bool) -> list[Measured | Said]:
    """Compare the reduced exploration with every order, on every specimen with two buyers."""
    limit = 60 if quick else 500
    async with provision("embedded") as server:
        bench = Bench(server)
        targets = {"sql": "last_ticket"} | {
            f"specimen:{name}": specimen.mistake.scenario if specimen.mistake else "last_ticket"
            for name, specimen in SPECIMENS.entries.items()
        }
        found = [await _reduced(bench, spec, name, limit) for spec, name in targets.items()]
    ratios = [one.reduced / one.every for one in found]
    average = statistics.mean(ratios)
    same = [one.name for one in found if not one.same]
    return [
        Measured("2 buyers, schedules run / every order, by target", "", ratios),
        Measured("the mean of those", "", [average], "<= 0.2", lambda mean: mean <= 0.2),
        Said("the same laws broken, the same endings", f"not: {', '.join(same)}" if same else "all"),
        *[
            Said(
                f"`{one.name}`",
                f"{one.reduced} instead of {one.every}{'' if one.finished else ' or more'}",
            )
            for one in found
        ],
    ]


async def _reduced(bench: Bench, spec: str, name: str, limit: int) -> Reduced:
    scenario = scenario_of(name, 2)
    async with bench.database(spec) as database, database.stage() as made:
        reduced = await _ran(made, scenario, Exploration, _REDUCED_AT_MOST)
        every = await _ran(made, scenario, EveryOrder, limit)
    same = reduced.endings == every.endings if every.finished else reduced.endings >= every.endings
    return Reduced(f"{spec} {name}", reduced.runs, every.runs, every.finished, same)


@dataclass(slots=True)
class Ran:
    """All phases of a scenario, explored one way."""

    runs: int = 0
    """Without the random ones that put the reduction to the test."""
    finished: bool = True
    endings: set[object] = field(default_factory=set)


async def _ran(made: Stage, scenario: Scenario, kind: type[Exploration], limit: int) -> Ran:
    ran = Ran()
    for phase in racing_phases(scenario):
        exploration = kind(made, scenario, phase, await made.monitor.conflicts(None))
        async for performance in exploration.performances(_budget(limit, _EVERY_ORDER_SECONDS)):
            laws = frozenset(violation.law for violation in judge(performance.evidence).violations)
            ran.endings.add((phase, ending(performance), laws))
        ran.runs += exploration.schedules + exploration.redundant
        ran.finished = ran.finished and exploration.finished
    return ran


# What all of them need.


def scenario_of(name: str, buyers: int) -> Scenario:
    """Return one of the shipped scenarios."""
    return load_scenarios([content("scenarios")])[name].build(buyers)


def _budget(schedules: int, seconds: float) -> Budget:
    return Budget(schedules=schedules, until=time.monotonic() + seconds)


class Bench:
    """Gives targets databases on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @contextlib.asynccontextmanager
    async def database(self, spec: str) -> AsyncIterator[Database]:
        """Yield a fresh database with a target's schema."""
        template = await self._server.create_template(lambda url: install(resolve(spec), url), label="bench")
        async with self._server.clone(template, "bench") as url:
            yield Database(spec, url)


@dataclass(frozen=True, slots=True)
class Database:
    """A target's database."""

    spec: str
    url: str

    @contextlib.asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        """Start the target behind a proxy."""
        with tempfile.TemporaryDirectory() as folder:
            async with stage(
                self.url,
                lambda url: started(resolve(self.spec), url, Path(folder)),
                isolation=None,
                timeout=_TIMEOUT,
            ) as made:
                yield made

    @contextlib.asynccontextmanager
    async def direct(self) -> AsyncIterator[Calls]:
        """Start the shipped functions on it, without a proxy and without HTTP."""
        with tempfile.TemporaryDirectory() as folder:
            async with resolve("sql").start(self.url, Path(folder)) as running:
                clients = [await running.connect(f"direct-{number}") for number in range(2)]
                try:
                    yield Calls(running, clients)
                finally:
                    for client in clients:
                        client.abandon()


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
