"""The reduced search held against every order: same laws broken, same final states, how many executions.

Run: ``python -m benchmarks.explore_enumeration [NAME…]``, where a name is part of a target's.

``make bench`` prints the average; this prints a line for each target and scenario, for the shipped specimens
and for the tests' own targets, and says what is missing. Final states are compared client by client, up to
renaming of interchangeable ones, and without the random schedules that an exploration adds at its end.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.content import content
from harness.driving.guard import install, started
from harness.driving.scenarios import load_scenarios
from harness.engines.explore import racing_phases
from harness.exploring.exploration import Budget, Exploration, alike
from harness.exploring.search import Search
from harness.exploring.stage import stage
from harness.laws import judge
from harness.postgres import provision
from harness.specimens import SPECIMENS
from harness.specimens._shop import Shop
from harness.targets import resolve
from tests.exploring import oddities
from tests.exploring.cases.designs import DESIGNS
from tests.exploring.cases.targets import case

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.exploring.stage import Performance, Stage
    from harness.model import Scenario, Target
    from harness.postgres import Server

SCENARIOS = ("last_ticket", "same_person_twice", "cancel_races_reserve")
RUNS, SECONDS = 3000, 30.0
LEFT_OUT = {"hanging", "locked_in_the_application", "moody", "mortal", "polling", "polling_naive", "silent"}
"""Oddities that cannot be enumerated, or take a second for every schedule."""


class Reduced(Exploration):
    """An exploration without the random schedules at its end."""

    async def performances(self, budget: Budget) -> AsyncIterator[Performance]:
        """Explore with every random schedule taken for done."""
        self._probes = 20
        async for performance in Exploration.performances(self, budget):
            yield performance


class EveryOrder(Reduced):
    """An exploration that takes every two steps for dependent and every two clients for different."""

    def _search(self) -> Search:
        clients = [program.client for program in self.scenario.phases[self.phase].programs]
        return Search(replace(self.conflicts, outside=True), clients=clients)


@dataclass
class Ran:
    """One way of exploring, and what it came to."""

    runs: int = 0
    finished: bool = True
    states: frozenset[Any] = frozenset()


def state(performance: Performance) -> Any:
    """What everybody was told and what stands in the books, the smallest of all renamings, with the laws."""
    evidence = performance.evidence
    groups = alike(evidence.scenario, evidence.scenario.phases[performance.phase])
    laws = frozenset(violation.law for violation in judge(evidence).violations)
    return (min(_told(performance, names) for names in _renamings(groups)), laws)


def _renamings(groups: list[list[str]]) -> Iterator[dict[str, str]]:
    for orders in itertools.product(*(list(itertools.permutations(group)) for group in groups)):
        yield {
            old: new
            for group, order in zip(groups, orders, strict=True)
            for old, new in zip(group, order, strict=True)
        }


def _told(performance: Performance, names: dict[str, str]) -> Any:
    evidence = performance.evidence
    told = sorted(
        (names.get(call.client, call.client), type(call.operation).__name__, call.outcome.value)
        for call in evidence.history
    )
    rows = sorted(
        (entry.ticket, names.get(entry.person, entry.person), entry.quantity)
        for entry in evidence.books.entries or ()
    )
    stock = [
        (each.ticket, -99 if each.remaining is None else each.remaining) for each in evidence.books.stock
    ]
    return (told, rows, stock)


async def ran(made: Stage, scenario: Scenario, kind: type[Exploration]) -> Ran:
    """Explore every phase one way."""
    result, states = Ran(), set()
    for phase in racing_phases(scenario):
        exploration = kind(made, scenario, phase, await made.monitor.conflicts(None))
        budget = Budget(schedules=RUNS, until=time.monotonic() + SECONDS)
        async for performance in exploration.performances(budget):
            states.add((phase, repr(state(performance))))
            result.runs += 1
        result.finished = result.finished and exploration.finished
    result.states = frozenset(states)
    return result


def targets() -> Iterator[tuple[str, Target]]:
    """Yield everything that is to be compared."""
    yield "sql", resolve("sql")
    for name in SPECIMENS.entries:
        yield f"specimen:{name}", resolve(f"specimen:{name}")
    for name in DESIGNS:
        yield f"case:{name}", case(name, "asyncpg")
    for thing in vars(oddities).values():
        odd = isinstance(thing, type) and issubclass(thing, Shop) and thing.__module__ == oddities.__name__
        if odd and "name" in vars(thing) and thing.name not in LEFT_OUT:
            yield f"odd:{thing.name}", thing()


async def both(server: Server, target: Target, scenario: Scenario) -> tuple[Ran, Ran]:
    """Explore reduced, and by every order."""
    template = await server.create_template(lambda url: install(target, url), label="enumeration")
    ways = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in (Reduced, EveryOrder):
            async with (
                server.clone(template, "enumeration") as database,
                stage(
                    database,
                    lambda url: started(target, url, Path(folder)),
                    isolation=None,
                    timeout=10,
                ) as made,
            ):
                ways.append(await ran(made, scenario, kind))
    reduced, every = ways
    return reduced, every


async def compared(server: Server, name: str, target: Target, scenario: Scenario) -> float:
    """Explore both ways, print a line, and return the ratio of executions."""
    reduced, every = await both(server, target, scenario)
    missing, extra = every.states - reduced.states, reduced.states - every.states
    same = "same" if not missing and (not extra or not every.finished) else "DIFFERENT"
    print(
        f"{name:42} {scenario.name:22} {reduced.runs:5} / {every.runs:5}{' ' if every.finished else '+'}"
        f" {reduced.runs / every.runs:6.3f}  {len(reduced.states):3} states  {same}",
        flush=True,
    )
    for lost in sorted(missing, key=str)[:3]:
        print("    missing:", lost)
    return reduced.runs / every.runs


async def main(wanted: list[str]) -> None:
    """Print the table."""
    files = load_scenarios([content("scenarios")])
    ratios: list[float] = []
    async with provision("embedded") as server:
        for name, target in targets():
            if wanted and not any(part in name for part in wanted):
                continue
            for scenario in (files[each].build(2) for each in SCENARIOS):
                if scenario.needs <= target.supports:
                    try:
                        ratios.append(await compared(server, name, target, scenario))
                    except Exception as error:
                        print(f"{name:42} {scenario.name:22} {type(error).__name__}: {error}", flush=True)
    if ratios:
        mean, median = statistics.mean(ratios), statistics.median(ratios)
        print(f"mean ratio {mean:.3f}, median {median:.3f}, of {len(ratios)}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
