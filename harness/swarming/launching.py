"""Launching: Locust as processes of ours, watched from beginning to end.

One process makes all the load, or is the master of workers: so many on this machine, or those who come from
elsewhere. Each has a process group of its own, which the reaper knows, so that none outlives us. What they
print goes into the run folder, and so do Locust's own CSV, HTML and JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import math
import os
import re
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.errors import InconclusiveError, UsageError
from harness.load.messages import LINK_VARIABLE
from harness.load.plan import Shape
from harness.postgres import Reaper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from harness.load.plan import LoadSettings

OLDEST = (2, 40)
"""The oldest version of Locust whose options and messages we know."""
ROOT = "locust"
"""Name of the process that the engine talks to: the master, or the only one."""
_PACKAGE = Path(harness.__file__).parent
LOCUSTFILE = _PACKAGE / "locusts" / "locustfile.py"
"""Ours, for those who bring none of their own."""
_POLITE = 5.0
"""Seconds between asking a process to end and killing it."""
_SECRETS = re.compile(r"postgres(ql)?://", re.IGNORECASE)
_NOT_FOR_LOCUST = re.compile(
    r"OVERSELL_|PG|DATABASE_URL$|LOCUST_(MODE_|PROCESSES|HEADLESS|AUTOSTART|WORKER_)"
)


def require_locust() -> None:
    """See that Locust is there, and new enough, without importing it: gevent would patch our own process.

    :raises UsageError: when it is not.
    """
    try:
        version = importlib.metadata.version("locust")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if found < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise UsageError(
            f"A swarm needs Locust {wanted} or newer, and {version} is installed. "
            f"Install it: {sys.executable} -m pip install 'locust>={wanted}'"
        )


@dataclass(slots=True)
class Process:
    """One of the processes."""

    name: str
    log: Path
    _process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Its number, and that of its process group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; ``None`` while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return await self._process.wait()

    def said(self) -> str:
        """Return the last line that speaks of an error, of what it printed; else its last."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if "ERROR" in line or "Error" in line or "error:" in line]
        return (errors or lines or ["it said nothing"])[-1][:300]

    def ended(self) -> str:
        """Say in words how it ended, and why, as far as it could say so."""
        code = self.code
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}: {self.said()}"

    async def end(self) -> None:
        """End it, politely at first."""
        await end_group(self._process, within=_POLITE)


@dataclass(slots=True)
class Locusts:
    """The processes of one swarm. Made by :func:`launched`."""

    folder: Path
    web: str | None
    """Where Locust's own page is, if it is served."""
    processes: list[Process] = field(default_factory=list)

    @property
    def root(self) -> Process:
        """The process that the engine talks to."""
        return self.processes[0]

    @property
    def workers(self) -> list[Process]:
        """The workers on this machine."""
        return self.processes[1:]

    async def end(self) -> None:
        """End all that still run."""
        await asyncio.gather(*(process.end() for process in self.processes if process.code is None))


@contextlib.asynccontextmanager
async def launched(
    load: LoadSettings, *, host: str, link: str, folder: Path, patience: float
) -> AsyncIterator[Locusts]:
    """Run Locust for the length of a block.

    :param host: base URL of the target.
    :param link: what the process must know to connect to the engine.
    :param folder: where logs and figures go.
    :param patience: seconds that buyers have at the end to finish what they are about.
    :raises UsageError: when Locust is missing or too old.
    :raises InconclusiveError: when a port cannot be had.
    """
    require_locust()
    port = _master_port(load)
    web_port = _free_port(load.web_host, load.web_port) if load.web else None
    web = f"http://{load.web_host}:{web_port}" if load.web else None
    locusts = Locusts(folder, web)
    common = ["-f", str(load.locustfile or LOCUSTFILE)]
    with Reaper() as reaper:
        try:
            options = [*common, *_root_options(load, host, folder, patience, port, web_port)]
            await _start(locusts, reaper, ROOT, options, {LINK_VARIABLE: link})
            for number in range(load.workers):
                worker = [*common, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
                await _start(locusts, reaper, f"worker-{number + 1}", [*worker, *load.locust_options], {})
            yield locusts
        finally:
            await _end(locusts, reaper)


async def end_group(process: asyncio.subprocess.Process, *, within: float) -> None:
    """End a process and its group: by asking first, and after so many seconds at once."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _end(locusts: Locusts, reaper: Reaper) -> None:
    await locusts.end()
    for process in locusts.processes:
        reaper.release(process.pid)


async def _start(
    locusts: Locusts, reaper: Reaper, name: str, options: list[str], extra: Mapping[str, str]
) -> None:
    log = locusts.folder / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "locust",
            *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment(), **extra},
            start_new_session=True,
        )
    reaper.watch_process_group(process.pid)
    locusts.processes.append(Process(name, log, process))


def _root_options(
    load: LoadSettings, host: str, folder: Path, patience: float, port: int | None, web_port: int | None
) -> Iterator[str]:
    yield from ("--host", host, "--users", str(load.users))
    if load.shape is Shape.STEADY:
        yield from ("--spawn-rate", f"{load.spawn_rate or load.users:g}")
    yield from ("--run-time", f"{math.ceil(load.run_time)}s", "--stop-timeout", f"{patience:g}")
    yield from ("--exit-code-on-error", "0", "--only-summary")
    yield from ("--csv", str(folder / "locust"), "--html", str(folder / "locust.html"))
    yield from ("--json-file", str(folder / "locust"))
    if web_port is None:
        yield "--headless"
    else:
        yield from ("--autostart", "--autoquit", "1")
        yield from ("--web-host", load.web_host, "--web-port", str(web_port))
    if port is not None:
        yield from ("--master", "--master-bind-host", load.bind, "--master-bind-port", str(port))
        yield from ("--expect-workers", str(load.workers or load.expect_workers))
        yield from ("--expect-workers-max-wait", str(math.ceil(load.expect_within)))
    yield from load.locust_options


def environment() -> dict[str, str]:
    """Return what Locust may know of our environment: no database, nothing that changes what it is told."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _NOT_FOR_LOCUST.match(name) and not _SECRETS.search(value)
    }
    paths = [str(_PACKAGE.parent), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _master_port(load: LoadSettings) -> int | None:
    """Return the port of the master; ``None`` when there is none."""
    return _free_port(load.bind, load.port) if load.master or load.workers else None


def _free_port(host: str, wanted: int | None) -> int:
    """Return the port that is wanted, once it was found free; any that is, when it does not matter.

    :raises InconclusiveError: when it is not to be had.
    """
    try:
        with socket.create_server((host, wanted or 0)) as probe:
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise InconclusiveError(
            f"port {wanted or 'any'} on {host} cannot be had ({error.strerror}): another master or page may "
            "be there; name another port, or none"
        ) from error
