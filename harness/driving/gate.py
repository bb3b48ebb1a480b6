"""Gates: where a client waits until its operation may happen.

A burst overlaps only if everybody goes at the same moment. Clients that can prepare hand over their last
step (the last byte of a request) as a plain function. When the barrier opens these run one after another
in a tight loop, before any task is scheduled, so that the time from the first to the last is microseconds
rather than a walk through the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class OpenGate:
    """A gate nobody waits at, which remembers when it was passed."""

    def __init__(self) -> None:
        self.passed_at: int | None = None
        """Nanoseconds of the monotonic clock."""
        self.passed = asyncio.Event()

    async def __call__(self, release: Callable[[], None] | None = None) -> None:
        """Let the operation happen at once."""
        self._pass(release)

    def _pass(self, release: Callable[[], None] | None) -> None:
        if self.passed_at is None:
            self.passed_at = time.monotonic_ns()
        if release is not None:
            release()
        self.passed.set()


class BarrierGate(OpenGate):
    """One client's gate at a :class:`Barrier`."""

    def __init__(self, barrier: Barrier) -> None:
        super().__init__()
        self._barrier = barrier
        self._release: Callable[[], None] | None = None
        self._failed: Exception | None = None
        self._opened = asyncio.Event()

    async def __call__(self, release: Callable[[], None] | None = None) -> None:
        """Wait for everybody, then go."""
        if self._barrier.is_open:
            self._pass(release)
            return
        self._release = release
        self._barrier.arrive(self)
        await self._opened.wait()
        if self._failed is not None:
            raise self._failed
        if release is None:
            self._pass(None)

    def open(self) -> None:
        """Let the client go, taking its last step for it when it left one.

        A step that fails is that client's own affair, and raised where it waits.
        """
        if self._release is not None:
            try:
                self._pass(self._release)
            except Exception as error:
                self._failed = error
        self._opened.set()


class Barrier:
    """Gates that open together, once everybody who is still coming stands at theirs."""

    def __init__(self) -> None:
        self.is_open = False
        self._coming: set[BarrierGate] = set()
        self._waiting: list[BarrierGate] = []
        self._everybody_here = asyncio.Event()

    def gate(self) -> BarrierGate:
        """Return a gate for one more client."""
        gate = BarrierGate(self)
        self._coming.add(gate)
        return gate

    def arrive(self, gate: BarrierGate) -> None:
        """Note that a client stands at its gate."""
        self._waiting.append(gate)
        self.leave(gate)

    def leave(self, gate: BarrierGate) -> None:
        """Wait for this client no longer: it has come, or ended without ever coming."""
        self._coming.discard(gate)
        if not self._coming:
            self._everybody_here.set()

    async def open_when_ready(self, timeout: float) -> None:
        """Let everybody go once all are here, or after ``timeout`` seconds those who are.

        Latecomers then pass on arrival; how many operations overlapped is measured, never assumed.
        """
        if self._coming:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._everybody_here.wait()
        self.is_open = True
        for gate in self._waiting:
            gate.open()

    def spread(self) -> float | None:
        """Return the seconds from the first release to the last; ``None`` for fewer than two."""
        times = [gate.passed_at for gate in self._waiting if gate.passed_at is not None]
        return (max(times) - min(times)) / 1e9 if len(times) > 1 else None
