"""The hands of a self-test that are processes of their own: one for each core.

Each is this module, run by the same Python (``python -m harness.cli._hands``) in a process group of its own.
It is sent one line of JSON that says what the plan is and where the server is, then the name of one specimen
at a time; it answers with a line for each cell, and one when the row is done. Evidence and failures it writes
into the run folder itself, under the names of its specimens. When its input ends, it ends.

The plan goes over as names, and is looked up again on the other side: so only what is in the catalogues can
be driven by such hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli._loop import run_async
from harness.content import content
from harness.driving.scenarios import load_scenarios
from harness.driving.selftest import Desk, SelftestPlan
from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.errors import InconclusiveError
from harness.model.matrix import Cell, Ruling
from harness.postgres import provision
from harness.reporting import ReportConsole, open_listeners
from harness.reporting.plain import to_plain
from harness.specimens import SPECIMENS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from harness.driving.selftest import Hand, Hands, Specimen
    from harness.postgres import Server

_END = 15.0
"""Seconds in which a process has to tidy up once it is told to end."""
_LONGEST_LINE = 16 * 2**20


def hands_of(plan: SelftestPlan, jobs: int, folder: Path) -> Hands:
    """Return what brings up that many processes.

    :param folder: the run folder, where they write logs, evidence and failures.
    """

    @contextlib.asynccontextmanager
    async def hands(server: Server) -> AsyncIterator[Sequence[Hand]]:
        order = {
            "engines": [engine.name for engine in plan.engines],
            "settings": asdict(plan.settings),
            "right_settings": asdict(plan.right_settings),
            "other_settings": asdict(plan.other_settings or plan.settings),
            "right_scenarios": dict(plan.right_scenarios),
            "quick": plan.quick,
            "database": server.url("postgres") if server.kind != "url" else plan.database,
            "disposable": plan.disposable,
            "folder": str(folder),
        }
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(_worker(order)) for _ in range(jobs)]

    return hands


@contextlib.asynccontextmanager
async def _worker(order: dict[str, Any]) -> AsyncIterator[Worker]:
    """Start a process, and end it after the block whatever has become of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        process_group=0,
    )
    worker = Worker(process)
    try:
        await worker.send(order)
        yield worker
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a process: by the end of its input, then by a signal, then at once."""
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END):
            await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@dataclass(slots=True)
class Worker:
    """A hand that is another process, as it is seen from here."""

    process: asyncio.subprocess.Process

    async def fill(self, specimen: Specimen, tell: Callable[[str, Cell], None]) -> None:
        """Have a row filled there."""
        await self.send(specimen.name)
        while (said := await self._hear()) is not None:
            tell(said["column"], _cell(said["cell"]))

    async def send(self, message: Any) -> None:
        """Send one line."""
        if self.process.stdin is None:
            raise AssertionError("it was started with a pipe")
        self.process.stdin.write(f"{json.dumps(message)}\n".encode())
        with contextlib.suppress(ConnectionError):  # It has ended; why is said when it is listened to.
            await self.process.stdin.drain()

    async def _hear(self) -> dict[str, Any] | None:
        """Return the next message, or ``None`` when the row is done.

        :raises InconclusiveError: when the process ended, or cannot go on.
        :raises RuntimeError: when there is a bug of ours in it.
        """
        if self.process.stdout is None:
            raise AssertionError("it was started with a pipe")
        line = await self.process.stdout.readline()
        if not line:
            code = await self.process.wait()
            raise InconclusiveError(f"a process of the self-test ended before it was done, with code {code}")
        said: dict[str, Any] = json.loads(line)
        if "inconclusive" in said:
            raise InconclusiveError(said["inconclusive"])
        if "bug" in said:
            raise RuntimeError(f"in a process of the self-test:\n{said['bug']}")
        return said if "cell" in said else None


def _cell(data: dict[str, Any]) -> Cell:
    """Return the cell that was sent."""
    lists = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
    return Cell(**{**data, **lists, "ruling": Ruling(data["ruling"])})


async def _work(say: Callable[[Any], None]) -> None:
    """Fill rows for whoever started this process, until there are no more."""
    lines = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer
    )
    order = json.loads(await lines.readline())
    plan, folder = _plan(order), Path(order["folder"])
    console = ReportConsole(stderr=True)
    with open_listeners(folder, console=console, names=("evidence", "failures")) as listen:
        async with provision(plan.database, disposable=plan.disposable) as server:
            desk = Desk(plan, server, folder=folder, listen=listen)
            while line := await lines.readline():
                await desk.fill(
                    SPECIMENS.get(json.loads(line)),
                    lambda column, cell: say({"column": column, "cell": to_plain(cell)}),
                )
                say({"done": True})


def _plan(order: dict[str, Any]) -> SelftestPlan:
    return SelftestPlan(
        specimens=(),
        engines=tuple(ENGINES.get(name) for name in order["engines"]),
        known_engines=frozenset(ENGINES.entries),
        scenarios=load_scenarios([content("scenarios")]),
        settings=Settings(**order["settings"]),
        right_settings=Settings(**order["right_settings"]),
        other_settings=Settings(**order["other_settings"]),
        right_scenarios={engine: tuple(names) for engine, names in order["right_scenarios"].items()},
        quick=order["quick"],
        database=order["database"],
        disposable=order["disposable"],
    )


def main() -> int:
    """Be one process of a self-test."""
    # Whatever a specimen or a library prints goes to standard error; this one line is for us.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: Any) -> None:
        with contextlib.suppress(BrokenPipeError):
            out.write(f"{json.dumps(message)}\n")
            out.flush()

    try:
        run_async(_work(say))
    except KeyboardInterrupt:
        return 0
    except InconclusiveError as error:
        say({"inconclusive": str(error)})
    except Exception:
        say({"bug": traceback.format_exc()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
