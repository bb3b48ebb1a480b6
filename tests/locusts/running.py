"""Real Locust, as processes that are always reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.load.messages import LINK_VARIABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "harness" / "locusts" / "locustfile.py"


@dataclass(slots=True)
class Locust:
    """One process."""

    process: asyncio.subprocess.Process
    log: Path

    async def ends(self, seconds: float = 60) -> int:
        """Wait until it has ended, and return its exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def said(self) -> str:
        """Return what it printed."""
        return self.log.read_text(encoding="utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.killpg(self.process.pid, number)


@contextlib.asynccontextmanager
async def locust(log: Path, *options: str, link: str = "", file: Path = LOCUSTFILE) -> AsyncIterator[Locust]:
    """Run a process for the length of a block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", LINK_VARIABLE: link}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", *(() if "-f" in options else ("-f", str(file))), *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            cwd=log.parent,
        )
    try:
        yield Locust(process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def free_port() -> int:
    """Return a port that is free at this moment: Locust must be told one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
