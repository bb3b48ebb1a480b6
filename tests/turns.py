"""Letting others have their turn, and waiting for them, without a clock."""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress


async def next_turn() -> None:
    """Go on once everybody who could run has done so, as a coroutine does that waits for something."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    await turn.wait()


def await_end(pid: int, *, timeout: float = 30) -> None:
    """Wait until a process, which need not be a child of ours, has ended."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            select.select([handle], [], [], timeout)
        finally:
            os.close(handle)
