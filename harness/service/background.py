"""Work beside the requests: begun with a block, and ended with it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from harness.postgres.server import finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have something done for the length of a block; it is cancelled, and has ended, at its end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await finish(_ended(task))


async def _ended(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await task
