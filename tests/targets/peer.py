"""A scripted HTTP server: it does what a test says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.targets._http_client import Address, HttpConnection
from harness.targets._http_live import LiveNumbers
from harness.targets.http import HttpClient

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    Script = Callable[["Conversation"], Awaitable[None]]

PATIENCE = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Conversation:
    """One connection as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: bytearray = field(default_factory=bytearray)

    async def read_until(self, is_enough: Callable[[bytes], bool]) -> bytes:
        """Read until what was received is enough; return it, and forget it."""
        while not is_enough(bytes(self.received)):
            await self._read_more()
        whole = bytes(self.received)
        self.received.clear()
        return whole

    async def read_to_the_end(self) -> bytes:
        """Read until the client has gone, in whichever way, and return everything."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                await self._read_more()
        return bytes(self.received)

    async def answer(self, data: bytes) -> None:
        """Send this."""
        self.writer.write(data)
        await self.writer.drain()

    async def _read_more(self) -> None:
        data = await self.reader.read(65536)
        if not data:
            raise EOFError
        self.received += data


@dataclass
class Peer:
    """The server and what came of it."""

    address: Address
    conversations: list[Conversation] = field(default_factory=list)
    finished: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    """One entry for each script that came to its end."""

    def connection(self) -> HttpConnection:
        """Return a client of it."""
        return HttpConnection(self.address)

    def buyer(self) -> HttpClient:
        """Return a buyer who talks to it; there is no database behind."""
        return HttpClient(
            self.connection(), LiveNumbers(self.address), "postgresql://nobody@127.0.0.1:1/none"
        )


def has_head(data: bytes) -> bool:
    """Say whether the head of a request has come, to its last byte."""
    return b"\r\n\r\n" in data


@contextlib.asynccontextmanager
async def peer(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Serve every connection by the script; when that returns, the connection is closed."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        served.conversations.append(conversation)
        try:
            with contextlib.suppress(EOFError, ConnectionError):
                await script(conversation)
        finally:
            writer.close()
            served.finished.put_nowait(None)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(converse(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    served = Peer(Address("127.0.0.1", port, encrypted=tls is not None, path=""))
    try:
        async with asyncio.timeout(PATIENCE):
            yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
