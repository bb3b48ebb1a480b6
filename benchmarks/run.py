"""The figures this project promises, measured in one run: ``make bench``, or ``python -m benchmarks.run``.

Prints a table with the number of runs and their minimum, median and maximum beside what was promised. A miss
is printed as a miss; the exit code says only whether everything could be measured. ``--quick`` takes few runs
of each, to see that this program works.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # "make bench" runs this file by its path

from benchmarks import audit, eight_cases, explore, faults, history, join, service, swarm  # noqa: E402  # as above
from benchmarks.figures import HEAD, Measured, Rate, Said  # noqa: E402
from harness.content import content  # noqa: E402
from harness.driving.guard import install, started  # noqa: E402
from harness.driving.scenarios import load_scenarios  # noqa: E402
from harness.driving.tally import Tally  # noqa: E402
from harness.driving.trial import Settings, Trial  # noqa: E402
from harness.engines import ENGINES  # noqa: E402
from harness.model import Verdict  # noqa: E402
from harness.postgres import provision  # noqa: E402
from harness.targets import resolve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Check, Evidence, Scenario
    from harness.postgres import Server

BURST = ENGINES.get("burst")


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs of each")
    quick = parser.parse_args().quick
    print(f"{machine()}\n")
    print(HEAD)
    for figure in measured(quick):
        print(figure.row(), flush=True)
    print(f"\nLoad average at the end: {load()}.")


def measured(quick: bool) -> Iterator[Measured | Rate | Said]:
    """Yield one figure after another."""
    yield start_time(2 if quick else 10)
    yield whole_check(1 if quick else 5)
    yield from asyncio.run(in_process(quick))
    yield from asyncio.run(eight_cases.rates(quick))
    yield from explore.measured(quick)
    yield from faults.measured(quick)
    yield from history.measured(quick)
    yield from audit.measured(quick)
    yield from service.measured(quick)
    yield from join.measured(quick)
    yield from swarm.measured(quick)


def machine() -> str:
    """Say what this was measured on."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}. "
        f"Load average at the beginning: {load()}."
    )


def load() -> str:
    """Return how many processes wanted to run over the last minute, five and fifteen."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def start_time(runs: int) -> Measured:
    """Measure from the start of the process to the start of the first scenario."""
    values = []
    for _ in range(runs):
        begun, _, events = oversell("--scenario", "rush", "--rounds", "1")
        first = next(event for event in events if event["event"] == "check_started")
        values.append((datetime.fromisoformat(first["time"]) - begun).total_seconds())
    return Measured("process start to first scenario", "s", values, "< 3 s", lambda median: median < 3)


def whole_check(runs: int) -> Measured:
    """Measure all scenarios with the burst on the embedded server, from process start to exit."""
    values = [oversell()[1] for _ in range(runs)]
    return Measured("`oversell check`, all scenarios", "s", values, "<= 15 s", lambda median: median <= 15)


def oversell(*words: str) -> tuple[datetime, float, list[dict[str, Any]]]:
    """Run the real command; return when it began, how many seconds it took, and its events."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "harness", "check", "--database", "embedded", "--engine", "burst"]
        begun, clock = datetime.now(UTC), time.perf_counter()
        done = subprocess.run(
            [*command, *words, "--runs", folder], cwd=ROOT, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - clock
        assert done.returncode == Verdict.SAFE.exit_code, done.stderr
        lines = (Path(folder) / "latest" / "events.jsonl").read_text().splitlines()
        return begun, seconds, [json.loads(line) for line in lines]


async def in_process(quick: bool) -> list[Measured | Rate]:
    """Measure what needs no process of its own, all on one embedded server."""
    scenario = load_scenarios([content("scenarios")])["rush"].build()
    repeats = 3 if quick else 20
    async with provision("embedded") as server:
        bench = Bench(server, scenario)
        return [
            await bench.clones(10 if quick else 50),
            await bench.spread(10 if quick else 100),
            *[
                await bench.rate(name, verdict, repeats)
                for name, verdict in (
                    ("check_then_decrement", Verdict.VIOLATED),
                    ("for_update", Verdict.SAFE),
                    ("atomic", Verdict.SAFE),
                )
            ],
        ]


class Bench:
    """Drives one scenario on one server."""

    def __init__(self, server: Server, scenario: Scenario) -> None:
        self._server, self._scenario = server, scenario

    async def clones(self, runs: int) -> Measured:
        """Measure how long a fresh database with the shipped schema takes."""
        template = await self._template("sql")
        self._server.clone_seconds.clear()
        for _ in range(runs):
            async with self._server.clone(template, "bench"):
                pass
        values = [seconds * 1000 for seconds in self._server.clone_seconds]
        return Measured("fresh database for a check", "ms", values, "<= 40 ms", lambda median: median <= 40)

    async def spread(self, bursts: int) -> Measured:
        """Measure the time between the first and the last byte released of 20 warmed HTTP requests."""
        tally = await self._driven("service", await self._template("service"), bursts)
        values = [seconds * 1000 for seconds in tally.seen]
        what = "20 HTTP requests, first to last byte released"
        return Measured(what, "ms", values, "< 2 ms", lambda median: median < 2)

    async def rate(self, specimen: str, verdict: Verdict, repeats: int) -> Rate:
        """Count how many of the repeats of a check come out as they must."""
        spec = f"specimen:{specimen}"
        template = await self._template(spec)
        checks: list[Check] = [
            (await self._driven(spec, template, rounds=5, seed=seed)).check() for seed in range(repeats)
        ]
        hits = sum(check.verdict is verdict for check in checks)
        return Rate(f"`{spec}`, rush, 5 bursts: {verdict}", hits, repeats)

    async def _template(self, spec: str) -> str:
        return await self._server.create_template(lambda url: install(resolve(spec), url), label="bench")

    async def _driven(self, spec: str, template: str, rounds: int, seed: int = 0) -> Spreads:
        tally = Spreads(scenario=self._scenario, engine=BURST.name, laws=None, listen=lambda _: None)
        with tempfile.TemporaryDirectory() as folder:
            async with self._server.clone(template, "bench") as database:
                await BURST.drive(
                    Trial(
                        scenario=self._scenario,
                        start=lambda url: started(resolve(spec), url, Path(folder)),
                        target=spec,
                        implementation=resolve(spec),
                        folder=Path(folder),
                        database=database,
                        settings=Settings(rounds=rounds, seed=seed),
                        tally=tally,
                    )
                )
        return tally


@dataclass(kw_only=True)
class Spreads(Tally):
    """A tally that keeps the spread of every burst."""

    seen: list[float] = field(default_factory=list)

    def add(self, evidence: Evidence, *, spread: float | None = None) -> bool:
        """Keep the spread, and judge as always."""
        if spread is not None:
            self.seen.append(spread)
        return super().add(evidence, spread=spread)


if __name__ == "__main__":
    main()
