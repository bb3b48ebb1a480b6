"""The link: the one TCP connection between the engine and the Locust process that it started.

The engine listens on 127.0.0.1, on a port of the kernel's choosing. Whoever connects must say who it is at
once, with a token that only the process we started knows; the first that does is the peer, and there is no
second. What comes is read only as fast as it is received here, so that back-pressure reaches Locust by way
of TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness import __version__
from harness.errors import InconclusiveError
from harness.load.messages import (
    LENGTH,
    PROTOCOL,
    Hello,
    NoMessageError,
    from_body,
    length_of,
    to_frame,
)
from harness.swarming.gathering import called

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.load.messages import Message

_INTRODUCTION = 5.0
"""Seconds in which somebody who connects must have said who it is."""
_SENDING = 10.0
"""Seconds in which the peer must make room for what is sent."""
_HOST = "127.0.0.1"


class LinkLostError(InconclusiveError):
    """Locust is gone, or no longer reads what it is told."""


def refusal(hello: Hello) -> str | None:
    """Return why a process cannot be understood; ``None`` when it can.

    Other versions may record other things, and a history that is half one and half the other proves nothing.
    """
    who = called(hello.worker)
    if hello.protocol != PROTOCOL:
        return (
            f"{who} speaks protocol {hello.protocol}, this oversell {PROTOCOL}: "
            f"install oversell {__version__} there"
        )
    if hello.version != __version__:
        return f"{who} has oversell {hello.version}, this is {__version__}: install the same on every machine"
    return None


@dataclass(slots=True)
class Link:
    """The connection to the Locust process. Made by :func:`listening`."""

    port: int
    _token: str
    _streams: asyncio.Future[tuple[Hello, asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def address(self) -> str:
        """What the process must find in its environment."""
        return f"{self.port}:{self._token}"

    @property
    def is_connected(self) -> bool:
        """Whether the process has connected."""
        return self._streams.done() and not self._streams.cancelled()

    async def connected(self) -> Hello:
        """Wait until the process has connected, and return what it said of itself.

        Waits as long as it is let: a process that ends before it connects is for its watcher to notice.
        """
        hello, _, _ = await asyncio.shield(self._streams)
        return hello

    async def receive(self) -> Message | None:
        """Return the next message; ``None`` once the other side has closed.

        :raises NoMessageError: when what came is no message.
        """
        _, reader, _ = await asyncio.shield(self._streams)
        return await _read(reader)

    async def send(self, message: Message) -> None:
        """Send a message.

        :raises LinkLostError: when the other side is gone, or has read nothing for ten seconds.
        """
        _, _, writer = await asyncio.shield(self._streams)
        try:
            async with asyncio.timeout(_SENDING):
                writer.write(to_frame(message))
                await writer.drain()
        except TimeoutError:
            raise LinkLostError(f"Locust has read nothing for {_SENDING:g} s") from None
        except OSError as error:
            raise LinkLostError(f"the link to Locust broke: {error}") from error

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take somebody who connects for the peer, if they are."""
        hello = await _introduction(reader)
        if hello is None or not secrets.compare_digest(hello.token, self._token) or self._streams.done():
            writer.close()
            return
        self._streams.set_result((hello, reader, writer))

    def close(self) -> None:
        """Close the connection once what was sent has left, if there is one."""
        if self.is_connected:
            _, _, writer = self._streams.result()
            writer.close()

    def abort(self) -> None:
        """Close the connection at once, and let nobody wait for one any more."""
        if self.is_connected:
            _, _, writer = self._streams.result()
            writer.transport.abort()
        else:
            self._streams.cancel()


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Link]:
    """Listen for the length of a block."""
    token = secrets.token_hex(16)
    strangers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        strangers.add(writer)
        try:
            await link.accept(reader, writer)
        finally:
            strangers.discard(writer)

    server = await asyncio.start_server(accept, _HOST, 0)
    link = Link(server.sockets[0].getsockname()[1], token)
    try:
        yield link
    finally:
        server.close()
        link.abort()
        for writer in strangers:
            writer.transport.abort()


async def _introduction(reader: asyncio.StreamReader) -> Hello | None:
    """Return what somebody says of themselves; ``None`` when it is nothing of ours, or comes too late."""
    try:
        async with asyncio.timeout(_INTRODUCTION):
            message = await _read(reader)
    except (TimeoutError, NoMessageError, OSError):
        return None
    return message if isinstance(message, Hello) else None


async def _read(reader: asyncio.StreamReader) -> Message | None:
    try:
        length = length_of(await reader.readexactly(LENGTH.size))
        return from_body(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
