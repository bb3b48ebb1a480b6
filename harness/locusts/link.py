"""The link: our end of the connection to the engine, for the one process that the engine started."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import gevent
from gevent import socket
from gevent.queue import Queue

from harness.load.messages import LENGTH, NoMessageError, from_body, length_of, to_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.load.messages import Message

_CONNECTING = 10.0
"""Seconds."""


class Link:
    """A connection on which messages come and go, read and written by greenlets of its own."""

    def __init__(self, port: int, received: Callable[[Message], None], lost: Callable[[str], None]) -> None:
        """Connect.

        :param received: told of each message, in the order in which they came.
        :param lost: told why, once, when the engine is gone although nobody closed the link.
        :raises OSError: when nobody listens there.
        """
        self._received = received
        self._lost = lost
        self._closing = False
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_CONNECTING)
        self._socket.settimeout(None)
        self._queue: Queue = Queue()
        self._writer = gevent.spawn(self._write)
        self._reader = gevent.spawn(self._read)

    def send(self, message: Message) -> None:
        """Send a message, after those before it, without waiting; after the link is closed it is dropped."""
        self._queue.put(to_frame(message))

    def close(self, patience: float) -> None:
        """Send what is still to be sent, and wait until the engine has read it and closes its end as well.

        A connection that is closed while something lies unread is reset, and what was sent last may be lost.

        :param patience: seconds.
        """
        self._closing = True
        self._queue.put(None)
        self._writer.join(timeout=patience)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._reader.join(timeout=patience)
        gevent.killall([self._writer, self._reader])
        self._socket.close()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # whoever reads hears of it as well, and says so
            for frame in iter(self._queue.get, None):
                self._socket.sendall(frame)

    def _read(self) -> None:
        why = "it closed the link"
        try:
            while head := self._exactly(LENGTH.size):
                self._received(from_body(self._exactly(length_of(head))))
        except (OSError, NoMessageError) as error:
            why = str(error)
        if not self._closing:
            self._lost(why)

    def _exactly(self, size: int) -> bytes:
        """Return so many bytes; none when the other side has closed."""
        parts: list[bytes] = []
        while size:
            part = self._socket.recv(min(size, 65536))
            if not part:
                return b""
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
