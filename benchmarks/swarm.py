"""What history and audit cost a swarm, in requests per second.

``python -m benchmarks.swarm`` loads the reference service with our locustfile, now with history and audit on
and now with both off, in pairs within one run and each on a database of its own; the ratio of each pair is
what counts, since both halves of a pair see the same machine. What is on sale never runs out, so that every
request is a purchase and both do the same. Where ``wrk`` is installed, it asks for the same purchases. All of
it shares the cores of one machine: load, service, Postgres and engine. ``make bench`` does it too.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import HEAD, Measured, Said  # noqa: E402  # found by the line above
from harness.content import content  # noqa: E402
from harness.contract.requests import request_for  # noqa: E402
from harness.driving.checking import Subject, check  # noqa: E402
from harness.driving.guard import install, started  # noqa: E402
from harness.driving.scenarios import load_scenarios  # noqa: E402
from harness.driving.trial import Settings  # noqa: E402
from harness.engines import ENGINES  # noqa: E402
from harness.load.plan import LoadSettings  # noqa: E402
from harness.model import Reserve, TicketType  # noqa: E402
from harness.postgres import provision  # noqa: E402
from harness.targets import resolve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from harness.postgres import Server

USERS = 20
PLENTY = 100_000_000
_WRK = """
request = function()
  count = (count or 0) + 1
  local body = string.gsub(BODY, "SOMEBODY", string.format("%s-%d", tostring({{}}):sub(8), count))
  return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, body)
end
BODY = [[{body}]]
"""


@dataclass(frozen=True, slots=True)
class _Bench:
    server: Server
    template: str
    seconds: float

    async def rate(self, *, record: bool) -> float:
        """Return the requests per second of one swarm."""
        load = LoadSettings(users=USERS, run_time=self.seconds, stock=PLENTY, record=record)
        with tempfile.TemporaryDirectory() as folder:
            subject = Subject(
                target=resolve("service"), name="service", folder=Path(folder), settings=Settings(load=load)
            )
            scenario = load_scenarios([content("scenarios")])["rush"].build()
            database = self.server.clone(self.template, "bench")
            done = await check(
                subject, scenario, ENGINES.get("swarm"), database=database, listen=lambda _: None
            )
            # Nothing is sold out here, and without a history nothing is judged: neither is asked for.
            assert not done.violations, done.violations
            assert not record or done.operations, done.reasons
            return _requests_per_second(Path(folder) / "swarm" / "rush" / "locust_stats.csv")

    async def wrk(self) -> float | None:
        """Return the purchases per second that wrk gets from the same endpoint."""
        wrk = shutil.which("wrk")
        if wrk is None:
            return None
        target = resolve("service")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                self.server.clone(self.template, "bench") as database,
                started(target, database, folder) as running,
            ):
                on_sale = (TicketType(name="general", initial=PLENTY),)
                ids = running.contract_ids(await running.open_sale(on_sale))["general"]  # type: ignore[attr-defined]  # the service has
                request = request_for(Reserve(ticket="general", person="SOMEBODY"), ids)
                assert request is not None
                script = folder / "purchase.lua"
                script.write_text(_WRK.format(path=request.path, body=json.dumps(request.body)))
                words = ["-t2", f"-c{USERS}", f"-d{self.seconds:.0f}s", "-s", str(script)]
                url = running.expose()  # type: ignore[attr-defined]  # likewise
                process = await asyncio.create_subprocess_exec(
                    wrk, *words, url, stdout=asyncio.subprocess.PIPE
                )
                async with asyncio.timeout(self.seconds + 30):
                    output, _ = await process.communicate()
        found = re.search(r"Requests/sec:\s+([\d.]+)", output.decode())
        assert found is not None, output
        return float(found[1])


def _requests_per_second(path: Path) -> float:
    """Return what Locust says of all requests together."""
    with path.open(encoding="utf-8", newline="") as file:
        (total,) = [row for row in csv.DictReader(file) if row["Name"] == "Aggregated"]
    assert int(total["Failure Count"]) == 0, total
    return float(total["Requests/s"])


async def rates(quick: bool) -> AsyncIterator[Measured | Said]:
    """Yield the figures."""
    pairs, seconds = (1, 4.0) if quick else (5, 10.0)
    on: list[float] = []
    off: list[float] = []
    async with provision("embedded") as server:
        template = await server.create_template(lambda url: install(resolve("service"), url), label="bench")
        bench = _Bench(server, template, seconds)
        for pair in range(pairs):
            for record in (True, False) if pair % 2 else (False, True):
                (on if record else off).append(await bench.rate(record=record))
        wrk = await bench.wrk()
    what = f"swarm of {USERS} users on the service, purchases"
    yield Measured(f"{what}, history and audit on", "/s", on)
    yield Measured(f"{what}, both off", "/s", off)
    ratios = [mine / bare for mine, bare in zip(on, off, strict=True)]
    yield Measured(f"{what}, on against off", "", ratios, ">= 0.9", lambda median: median >= 0.9)
    if wrk is None:
        yield Said("the same purchases by wrk", "wrk is not installed")
    else:
        yield Measured("the same purchases by wrk", "/s", [wrk])


def measured(quick: bool) -> Iterator[Measured | Said]:
    """Yield the figures, outside of any event loop."""

    async def every() -> list[Measured | Said]:
        return [figure async for figure in rates(quick)]

    yield from asyncio.run(every())


def main() -> None:
    """Measure, and print as it goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short pair")
    chosen = parser.parse_args()
    print(HEAD)
    for figure in measured(chosen.quick):
        print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
