"""Recording: what buyers did, sent in numbered chunks, of which only so many may be under way.

A chunk goes when it is large enough, or old enough. While as many are under way as may be, nothing is sent,
and once another one is full buyers wait before they begin anything new: back-pressure, so that memory is
bounded however slowly the engine takes what it is given. What was already begun is recorded all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from harness.load.messages import Chunk, Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.messages import Message

LARGE = 2000
"""Records in a chunk."""
OLD = 0.5
"""Seconds after which a chunk goes, however small."""
UNDER_WAY = 8
"""Chunks that may be sent and not yet taken."""


class Recorder:
    """What one process records."""

    def __init__(self, worker: str, send: Callable[[Message], None]) -> None:
        self.room = Event()
        """Set while buyers may begin something new."""
        self.room.set()
        self._worker = worker
        self._send = send
        self._parts: list[bytes] = []
        self._chunks = 0
        self._records = 0
        self._under_way: set[int] = set()
        self._progress = Event()
        self._clock: gevent.Greenlet | None = None

    @property
    def waiting(self) -> int:
        """How many chunks are under way."""
        return len(self._under_way)

    def start(self) -> None:
        """Begin to look for chunks that are old."""
        self._clock = gevent.spawn(self._send_old)

    def add(self, record: bytes) -> None:
        """Keep a record."""
        self._parts.append(record)
        if len(self._parts) >= LARGE:
            self._send_chunk()

    def taken(self, number: int) -> None:
        """Hear that a chunk is safe."""
        self._under_way.discard(number)
        if len(self._parts) >= LARGE:
            self._send_chunk()
        self._look_for_room()
        self._progress.set()

    def finish(self, patience: float, clock_error: int) -> bool:
        """Send what is left, wait until all of it is taken, and say that it was all.

        :param patience: seconds to wait for each sign that something was taken.
        :returns: whether all was taken.
        """
        if self._clock is not None:
            self._clock.kill()
        while len(self._under_way) >= UNDER_WAY and self._wait(patience):
            pass
        if self._parts:
            self._send_chunk(at_any_rate=True)
        while self._under_way and self._wait(patience):
            pass
        self._send(
            Ended(worker=self._worker, chunks=self._chunks, records=self._records, clock_error=clock_error)
        )
        return not self._under_way

    def _wait(self, patience: float) -> bool:
        self._progress.clear()
        return bool(self._progress.wait(patience))

    def _send_old(self) -> None:
        while True:
            gevent.sleep(OLD)
            if self._parts:
                self._send_chunk()

    def _send_chunk(self, *, at_any_rate: bool = False) -> None:
        if len(self._under_way) >= UNDER_WAY and not at_any_rate:
            self._look_for_room()
            return
        parts, self._parts = self._parts, []
        number = self._chunks
        self._chunks += 1
        self._records += len(parts)
        self._under_way.add(number)
        self._send(Chunk(self._worker, number, len(parts), b"".join(parts)))

    def _look_for_room(self) -> None:
        full = len(self._under_way) >= UNDER_WAY and len(self._parts) >= LARGE
        (self.room.clear if full else self.room.set)()
