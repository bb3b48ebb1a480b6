"""How much of Postgres' throughput is left behind the free proxy, measured side by side.

pgbench with 8 clients, on one hot row and reading only, directly, through the proxy and through pgbouncer in
short turns. The median of each turn's ratio is what to keep: the parts of a turn share whatever else the
machine does.

Run: ``python -m benchmarks.proxy_throughput [seconds per part of a turn] [turns]``.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from benchmarks import pgbench
from benchmarks.figures import HEAD, Measured, Said
from benchmarks.peers.pgbouncer import bounced
from harness.postgres import connect, provision
from harness.wire import Proxy, address_of

CLIENTS = 8
SCRIPTS = {
    "hot row": "UPDATE hot SET n = n + 1 WHERE id = 1;\n",
    "select only": "\\set id random(1, 100)\nSELECT n FROM hot WHERE id = :id;\n",
}
PROMISED = {"hot row": 0.4}
"""The least share of direct throughput, where one was promised."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Transactions per second of one workload, by way, one value of each per turn."""

    workload: str
    direct: tuple[float, ...]
    proxied: tuple[float, ...]
    bounced: tuple[float, ...]
    """Empty when pgbouncer is not installed."""

    def rows(self) -> list[Measured | Said]:
        """Return the rates, and what share of the direct one was left in the same turn."""
        what, least = f"pgbench, {self.workload}", PROMISED.get(self.workload)
        keeps = None if least is None else lambda median: median >= least
        return [
            Measured(f"{what}: direct", "/s", self.direct),
            Measured(
                f"{what}: proxy / direct",
                "",
                self._share(self.proxied),
                "" if least is None else f">= {least}",
                keeps,
            ),
            Measured(f"{what}: pgbouncer / direct", "", self._share(self.bounced))
            if self.bounced
            else Said(f"{what}: pgbouncer / direct", "not installed"),
        ]

    def _share(self, rates: tuple[float, ...]) -> list[float]:
        return [rate / direct for rate, direct in zip(rates, self.direct, strict=True)]


async def measure(seconds: int = 2, turns: int = 7) -> list[Throughput]:
    """Measure both workloads."""
    async with provision("embedded") as server, server.empty("throughput") as url:
        connection = await connect(url)
        await connection.execute("CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 10)")
        await connection.execute("INSERT INTO hot SELECT id, 0 FROM generate_series(1, 100) id")
        await connection.close()
        async with Proxy(address_of(url)) as proxy, bounced(url) as bouncer:
            ways = [url, proxy.url(url), bouncer]
            return [await _side_by_side(name, ways, seconds, turns) for name in SCRIPTS]


async def _side_by_side(workload: str, ways: list[str | None], seconds: int, turns: int) -> Throughput:
    seen: list[list[float]] = [[] for _ in ways]
    for _ in range(turns):
        for rates, url in zip(seen, ways, strict=True):
            if url is not None:
                rates.append(await pgbench.rate(SCRIPTS[workload], url, clients=CLIENTS, seconds=seconds))
    return Throughput(workload, *map(tuple, seen))


def main() -> None:
    """Measure, and print."""
    seconds, turns = (int(argument) for argument in [*sys.argv[1:], "2", "7"][:2])
    print(f"pgbench, {CLIENTS} clients, prepared, {turns} turns of {seconds} s each way\n\n{HEAD}")
    for one in asyncio.run(measure(seconds, turns)):
        for row in one.rows():
            print(row.row())


if __name__ == "__main__":
    main()
