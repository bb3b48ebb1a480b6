"""The reference RSVP service, started as a process of its own for every check.

It gets the check's database through its environment and a port from the kernel, and is talked to like any
service over HTTP: see the target kind ``http``. Its sweeper is off: holds expire when a scenario says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import TargetFailedError
from harness.postgres import Reaper
from harness.service.__main__ import DATABASE_VARIABLE
from harness.targets import _ticketing
from harness.targets._http_client import Address
from harness.targets._kind import Kind
from harness.targets.http import SUPPORTS, RunningHttp, running_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# Nothing runs by itself, so that whatever the service does belongs to a request. What the sweeper does can be
# asked for.
_QUIET = {"OVERSELL_SERVICE_SWEEP_EVERY": "0", "OVERSELL_SERVICE_LISTEN_CHECK": "0"}
_READY_TIMEOUT = 30.0
_STOP_TIMEOUT = 5.0


class ServiceTarget:
    """See the module."""

    name = "service"
    supports = SUPPORTS
    ledger = _ticketing.LEDGER
    own_process = True
    takes_keys = True
    through_pooler = "statement_cache_size=0"
    starts_concurrently = True

    async def install(self, database: str) -> None:
        """Load the shipped ``sql/``."""
        await _ticketing.install(database)

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningHttp]:
        """Start the service, and talk to it once it says that it is ready."""
        async with (
            _process(database, folder / "service.log") as process,
            running_http(Address.parse(process.url), database) as running,
        ):
            running.process = process
            yield running


@dataclass(slots=True)
class ServiceProcess:
    """The service's process group; see :class:`harness.model.target.Process`."""

    database: str
    log: Path
    reaper: Reaper
    url: str = ""
    """Where it listens: a port that the kernel chose, kept over restarts."""
    _process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The number of its leader, and so of the group; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        port = urlsplit(self.url).port or 0
        with self.log.open("ab") as errors:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "harness.service",
                *("--port", str(port)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **_QUIET, DATABASE_VARIABLE: self.database},
                start_new_session=True,
            )
        self.reaper.watch_process_group(process.pid)
        self.url = await _ready(process, self.log)

    async def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()
            self.reaper.release(self._process.pid)

    async def restart(self) -> None:
        """Start it again where it listened."""
        with _reserved(self.url):
            await self.start()

    def pause(self) -> None:
        """Stop it where it stands."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """End it: politely, then not."""
        self.resume()
        if self._process is not None:
            await _stop(self._process)
            self.reaper.release(self._process.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


@contextlib.asynccontextmanager
async def _process(database: str, log: Path) -> AsyncIterator[ServiceProcess]:
    """Run the service for the length of a block."""
    with Reaper() as reaper:
        process = ServiceProcess(database, log, reaper)
        try:
            await process.start()
            yield process
        finally:
            await process.stop()


@contextlib.contextmanager
def _reserved(url: str) -> Iterator[None]:
    """Keep others from an address that nobody listens on for a moment.

    Both sockets allow reuse and ours never listens, so on Linux the service can bind it meanwhile.
    """
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            holder.bind((parts.hostname or "", parts.port or 0))
        yield


async def _ready(process: asyncio.subprocess.Process, log: Path) -> str:
    if process.stdout is None:
        raise AssertionError("its output was asked for")
    try:
        async with asyncio.timeout(_READY_TIMEOUT):
            line = await process.stdout.readline()
    except TimeoutError:
        raise TargetFailedError(f"the service was not ready within {_READY_TIMEOUT:g} s") from None
    if not line:
        raise TargetFailedError(f"the service ended before it was ready: {_last_words(log)}")
    url: str = json.loads(line)["url"]
    return url


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the process group: politely, then not."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


KIND = Kind(
    name="service",
    usage="service",
    doc=__doc__ or "",
    claims=lambda spec: spec == "service",
    make=lambda _: ServiceTarget(),
)
