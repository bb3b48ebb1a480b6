"""Running asyncio code from a command, so that it can be interrupted at any moment.

The first SIGINT, SIGTERM or SIGHUP cancels the main task, which then stops everything in an orderly way.
A second one gives up on order: what is known is written down and the process ends at once. The guardian
process of :mod:`harness.postgres` then removes whatever was still running.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from harness.cli._policy import say
from harness.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _nothing() -> int:
    """Write nothing down; what was cut off stays undecided."""
    return Verdict.INCONCLUSIVE.exit_code


def run_async(main: Coroutine[Any, Any, T], *, abandon: Callable[[], int] = _nothing) -> T:
    """Run ``main`` to its end and return what it returns.

    :param abandon: called on a second interruption, immediately before the process ends;
        returns the exit code.
    :raises KeyboardInterrupt: after ``main`` was cancelled by a signal and has tidied up. Its cause is
        the error that came up while tidying, if one did.
    """
    interruption = _Interruption(abandon)
    with interruption.handled(), asyncio.Runner() as runner:
        task = runner.get_loop().create_task(main)
        interruption.cancels(task)
        try:
            return runner.get_loop().run_until_complete(task)
        except asyncio.CancelledError:
            if interruption.count:
                raise KeyboardInterrupt from None
            raise RuntimeError("the main task was cancelled, and not by a signal") from None
        except Exception as error:
            if interruption.count:
                raise KeyboardInterrupt from error
            raise


class _Interruption:
    """Counts signals: the first cancels the task, the second ends the process."""

    def __init__(self, abandon: Callable[[], int]) -> None:
        self.count = 0
        self._task: asyncio.Task[Any] | None = None
        self._abandon = abandon

    def cancels(self, task: asyncio.Task[Any]) -> None:
        """From now on the first signal cancels ``task``; one that came before does so now."""
        self._task = task
        if self.count:
            task.cancel()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            code = Verdict.INCONCLUSIVE.exit_code
            with contextlib.suppress(Exception):
                code = self._abandon()
            say("interrupted twice: stopped at once.")
            os._exit(code)
        if self._task is not None and not self._task.done():
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Be the handler of the signals that end a program, except of those that are ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self)
            for number in _SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
