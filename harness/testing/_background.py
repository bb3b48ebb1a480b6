"""A thread with an event loop, in which everything of ours runs while pytest waits.

Tests are called in the main thread, where other plugins may have a loop of their own, even one that is
running. Signals arrive there too: an interruption, or a time-out that some plugin raises, reaches the wait
for our work and cancels it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")
_PATIENCE = 60.0
"""Seconds that what was cancelled, or is being stopped, may take to tidy up."""


class Background:
    """The thread. What is entered into :attr:`stack` stays until it is closed."""

    def __init__(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        self._ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        # A daemon, so that a process that cannot wait any longer can end. Its guardians then tidy up.
        self._thread = threading.Thread(target=self._run, name="oversell", daemon=True)
        self._thread.start()
        self._loop = self._ready.result()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have this done there, and return what it returns.

        Whatever is raised here meanwhile, such as by an interruption, cancels the work; that is waited for.
        """
        task: asyncio.Task[T] | None = None

        async def named() -> T:
            nonlocal task
            task = asyncio.current_task()
            return await work

        future = asyncio.run_coroutine_threadsafe(named(), self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                self._loop.call_soon_threadsafe(lambda: task is not None and task.cancel())
                concurrent.futures.wait([future], timeout=_PATIENCE)
            raise

    def close(self) -> None:
        """Leave what was entered, and end the thread.

        :raises Exception: what was raised on the way out.
        """
        self._loop.call_soon_threadsafe(self._stop.set)
        self._ended.result(timeout=_PATIENCE)
        self._thread.join(timeout=_PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        async with self.stack:
            self._ready.set_result(asyncio.get_running_loop())
            await self._stop.wait()
