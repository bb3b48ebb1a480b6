"""Time: what the engine's clock says, told by ours.

On one machine both are one clock: ``CLOCK_MONOTONIC`` is the kernel's, and the boot id says which kernel that
is. Virtual machines that were woken from one snapshot have one boot id and two clocks; so what the engine
told must also lie between question and answer.

Elsewhere the engine is asked for its time, and the answer that came fastest is the one that says most
(Cristian, *Probabilistic clock synchronization*, Distributed Computing 3, 1989): its clock then was what it
told, give or take half of the time between question and answer. Clocks drift, so it is asked again and again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from gevent.event import AsyncResult

from harness.load.messages import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.messages import Message

ASKED = 8
"""Questions for each look at the engine's clock; the best answer counts."""
AGAIN = 5.0
"""Seconds between two looks."""
PATIENCE = 10.0
"""Seconds to wait for an answer."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's boot id; an empty text, equal to none, where there is no such thing."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class EngineClock:
    """What is to be added to our clock to have the engine's, and how far off that may be."""

    def __init__(self, worker: str, send: Callable[[Message], None]) -> None:
        self.offset = 0
        """Nanoseconds."""
        self.error = 0
        """Nanoseconds, either way, for all offsets there were."""
        self._worker = worker
        self._send = send
        self._boot = boot_id()
        self._answer: AsyncResult = AsyncResult()
        self._watch: gevent.Greenlet | None = None

    def start(self) -> bool:
        """Look at the engine's clock, and go on doing so where it is not ours.

        :returns: whether the engine answered.
        """
        look = self._look()
        if look is None:
            return False
        offset, error, shared = look
        if not shared:
            self.offset, self.error = offset, error
            self._watch = gevent.spawn(self._look_again)
        return True

    def stop(self) -> None:
        """Look for the last time."""
        if self._watch is not None:
            self._watch.kill()
            self._adjust()

    def heard(self, answer: Clock) -> None:
        """Hear what the engine told."""
        self._answer.set((answer, time.monotonic_ns()))

    def _look_again(self) -> None:
        while True:
            gevent.sleep(AGAIN)
            self._adjust()

    def _adjust(self) -> None:
        """Take a new offset. Between two looks the true one lay between them, as far as they are known."""
        look = self._look()
        if look is not None:
            offset, error, _ = look
            self.error = max(self.error, abs(offset - self.offset) + error)
            self.offset = offset

    def _look(self) -> tuple[int, int, bool] | None:
        """Return offset, error and whether the clock is shared, by the best of some answers."""
        best: tuple[int, int, bool] | None = None
        for _ in range(ASKED):
            found = self._ask()
            if found is None:
                return best
            if best is None or found[1] < best[1]:
                best = found
            if found[2]:
                break
        return best

    def _ask(self) -> tuple[int, int, bool] | None:
        self._answer = AsyncResult()
        sent = time.monotonic_ns()
        self._send(Clock(self._worker, sent, self._boot))
        try:
            answer, came = self._answer.get(timeout=PATIENCE)
        except gevent.Timeout:
            return None
        if answer.sent != sent:
            return None
        half = (came - sent + 1) // 2
        shared = bool(self._boot) and answer.boot == self._boot and sent <= answer.told <= came
        return answer.told + half - came, half, shared
