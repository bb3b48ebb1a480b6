"""frontrun 0.7.0 beside us: in an environment of its own, on the same Postgres, in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

VERSION = "0.7.0"
_PACKAGES = (f"frontrun=={VERSION}", "psycopg2-binary")
_PROGRAM = Path(__file__).with_name("frontrun_race.py")
_INSTALL_SECONDS = 180.0
_GRACE = 20.0
"""Seconds beyond its own bound after which it is ended."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the peer said of one exploration."""

    seconds: float
    runs: int
    finished: bool
    """It came to an end and to a result."""
    violated: bool
    outcomes: Sequence[int]
    """How many tickets it saw sold at the end of a run: the different numbers."""


class PeerError(Exception):
    """The peer could not be had, or broke down."""


@contextlib.asynccontextmanager
async def environment() -> AsyncIterator[Path]:
    """Yield a folder with the peer's programs, made with pip unless it can be imported here.

    :raises PeerError: when it cannot be installed.
    """
    if importlib.util.find_spec("frontrun") and importlib.util.find_spec("psycopg2"):
        yield Path(sys.executable).parent
        return
    with tempfile.TemporaryDirectory() as folder:
        await asyncio.to_thread(venv.create, folder, with_pip=True)
        programs = Path(folder) / "bin"
        await _output([str(programs / "pip"), "install", "--quiet", *_PACKAGES], _INSTALL_SECONDS)
        yield programs


async def explore(programs: Path, url: str, *, buyers: int, every: bool, seconds: float, kept: bool) -> Told:
    """Have the peer explore the naive race once.

    :param every: go on after the first violation, over every interleaving.
    :param seconds: its own bound.
    :param kept: the buyers' connections are opened beforehand rather than by each of them.
    :raises PeerError: when it does not answer, or answers with an error.
    """
    words = [url, str(buyers), "every" if every else "first", str(seconds), "kept" if kept else "fresh"]
    python = str(programs / "python")
    out = await _output([str(programs / "frontrun"), python, str(_PROGRAM), *words], seconds + _GRACE)
    told = json.loads(out.splitlines()[-1])
    return Told(told["seconds"], told["runs"], told["finished"], told["holds"] is False, told["outcomes"])


async def _output(command: Sequence[str], seconds: float) -> str:
    """Return what a command prints, and leave nothing of it running."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        raise PeerError(f"{Path(command[0]).name} took longer than {seconds:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise PeerError((err.decode().strip().splitlines() or ["it said nothing"])[-1][:200])
    return out.decode()
