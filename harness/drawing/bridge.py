"""The bridge: a function in a thread of its own, which has its waiting done in the event loop.

Hypothesis is synchronous, and what it runs is not. Its thread hands every coroutine over and waits; the event
loop's side runs them one at a time, within the very task that called :func:`serve`. So a cancellation of that
task meets them as it meets everything else, and nothing goes on once it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import InconclusiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")

_END = 30.0
"""Seconds in which the thread ends once nothing is done for it any more."""


class StoppedError(KeyboardInterrupt):
    """Nothing is done for the thread any more, so it is to end.

    A keyboard interrupt, since Hypothesis lets one through at once: it neither takes it for a failing example
    nor keeps what it had drawn by then.
    """


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    """Something the thread waits for."""

    begin: Callable[[], Coroutine[Any, Any, T]]
    done: Future[T] = field(default_factory=Future)

    async def run(self) -> None:
        try:
            result = await self.begin()
        except BaseException:
            # An error of ours or of the target is no failing example. It ends everything, here.
            self.done.set_exception(StoppedError())
            raise
        self.done.set_result(result)


class Bridge:
    """The thread's end of the bridge."""

    def __init__(self, limit: float) -> None:
        """Make a bridge.

        :param limit: seconds that a single thing may take.
        """
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._jobs: asyncio.Queue[_Job[Any] | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._stopped = False
        self._luck = random.getstate()

    def wait_for(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have a coroutine run in the event loop, and return what it returns. Called in the thread.

        :raises StoppedError: when nothing is done for the thread any more.
        """
        job = _Job(begin)
        with self._own_luck():
            try:
                self._loop.call_soon_threadsafe(self._take, job)
            except RuntimeError:  # The loop is closed.
                raise StoppedError from None
            return job.done.result()

    async def serve(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a thread, do for it what it waits for, and return what it returns.

        :raises InconclusiveError: when one thing took too long. What else goes wrong in one is raised too.
        :raises asyncio.CancelledError: when cancelled; the thread has ended by then, or does nothing more.
        """
        done: Future[T] = Future()
        threading.Thread(target=self._work, args=(work, done), name="hypothesis", daemon=True).start()
        try:
            while (job := await self._jobs.get()) is not None:
                await self._bounded(job)
        finally:
            self._stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END):
                    await self._ended.wait()
        return done.result()

    async def _bounded(self, job: _Job[Any]) -> None:
        limit = asyncio.timeout(self._limit)
        try:
            async with limit:
                await job.run()
        except TimeoutError:
            if not limit.expired():
                raise
            raise InconclusiveError(f"a step of an example did not end within {self._limit:g} s") from None

    def _work(self, work: Callable[[], T], done: Future[T]) -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)
        finally:
            with contextlib.suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ended.set()
        self._jobs.put_nowait(None)

    def _take(self, job: _Job[Any]) -> None:
        if self._stopped:
            job.done.set_exception(StoppedError())
        else:
            self._jobs.put_nowait(job)

    def _stop(self) -> None:
        self._stopped = True
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                job.done.set_exception(StoppedError())

    @contextlib.contextmanager
    def _own_luck(self) -> Iterator[None]:
        """Give everybody else the random numbers they would have had.

        While an example runs, Hypothesis has Python's global generator always begin alike. A target in this
        process that names things by it would give the same names in every example.
        """
        hypothesis = random.getstate()
        random.setstate(self._luck)
        try:
            yield
        finally:
            self._luck = random.getstate()
            random.setstate(hypothesis)
