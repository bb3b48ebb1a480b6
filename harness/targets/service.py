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
import sys
from typing import TYPE_CHECKING

from harness.errors import TargetFailedError
from harness.postgres import Reaper
from harness.service.__main__ import DATABASE_VARIABLE
from harness.targets import _ticketing
from harness.targets._http_client import Address
from harness.targets._kind import Kind
from harness.targets.http import SUPPORTS, RunningHttp, running_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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

    async def install(self, database: str) -> None:
        """Load the shipped ``sql/``."""
        await _ticketing.install(database)

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningHttp]:
        """Start the service, and talk to it once it says that it is ready."""
        async with (
            _process(database, folder / "service.log") as url,
            running_http(Address.parse(url), database) as running,
        ):
            yield running


@contextlib.asynccontextmanager
async def _process(database: str, log: Path) -> AsyncIterator[str]:
    """Run the service for the length of a block and yield its URL."""
    with Reaper() as reaper, log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "harness.service",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **_QUIET, DATABASE_VARIABLE: database},
            start_new_session=True,
        )
        reaper.watch_process_group(process.pid)
        try:
            yield await _ready(process, log)
        finally:
            await _stop(process)
            reaper.release(process.pid)


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
