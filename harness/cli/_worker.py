"""Being a worker: Locust's processes on this machine, which make load for a master elsewhere.

What they print goes to standard error, as a container's log wants it. Each has a process group of its own
that the reaper knows, so that none outlives this process, however it ends.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from harness.errors import InconclusiveError
from harness.postgres import Reaper
from harness.swarming.launching import LOCUSTFILE, end_group, environment, require_locust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_KNOCKING = 0.5
"""Seconds between two attempts to reach the master, and for each of them four times as long."""
_POLITE = 10.0
"""Seconds that a process has to end once it is asked to."""


async def work(
    host: str,
    port: int,
    *,
    within: float,
    processes: int,
    locustfile: Path | None,
    options: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Make load for a master until it lets its workers go.

    :param within: seconds in which the master must answer.
    :param options: passed on to Locust.
    :raises UsageError: when Locust is missing or too old.
    :raises InconclusiveError: when no master answers, it refuses this worker, or it is lost.
    """
    require_locust()
    await _knock(host, port, within)
    say(f"a master listens on {host}:{port}; this is {processes} of its workers.")
    command = [sys.executable, "-m", "locust", "-f", str(locustfile or LOCUSTFILE), "--worker"]
    command += ["--master-host", host, "--master-port", str(port), "--exit-code-on-error", "0", *options]
    started: list[asyncio.subprocess.Process] = []
    with Reaper() as reaper:
        try:
            for _ in range(processes):
                started.append(await _start(command))
                # If this process is killed they are too: one that was asked to go would look in order.
                reaper.watch_process_group(started[-1].pid, stop=signal.SIGKILL)
            codes = await asyncio.gather(*(process.wait() for process in started))
        finally:
            await asyncio.gather(*(end_group(process, within=_POLITE) for process in started))
            for process in started:
                reaper.release(process.pid)
    _judge(codes)


async def _knock(host: str, port: int, within: float) -> None:
    """Wait until somebody listens where the master is said to be."""
    reason = "no answer"
    try:
        async with asyncio.timeout(within):
            while (trouble := await _trouble(host, port)) is not None:
                reason = trouble or reason
                await asyncio.sleep(_KNOCKING)
    except TimeoutError:
        raise InconclusiveError(
            f"no master answers on {host}:{port} after {within:g} s ({reason}). Start it there (oversell "
            f"swarm --master --bind ADDRESS --port {port}), open that port, or wait longer: --expect-within."
        ) from None


async def _trouble(host: str, port: int) -> str | None:
    """Say why nobody can be reached there, as far as that is known; ``None`` when somebody can."""
    try:
        async with asyncio.timeout(4 * _KNOCKING):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        return getattr(error, "strerror", None) or ""
    writer.close()
    return None


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        env=environment(),
        start_new_session=True,
    )


def _judge(codes: Sequence[int]) -> None:
    """Say what the exit codes of Locust's processes mean: only 0 is that of one that was let go."""
    bad = [code for code in codes if code]
    if bad:
        how = f"was ended by {signal.Signals(-bad[0]).name}" if bad[0] < 0 else f"ended with code {bad[0]}"
        raise InconclusiveError(
            f"{len(bad)} of {len(codes)} workers lost the master or were refused by it; one {how}. Its last "
            "lines say why."
        )
