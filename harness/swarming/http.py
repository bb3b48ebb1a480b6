"""A small HTTP/1.1 server for this machine: requests in, JSON out, one write for each answer.

httptools does the protocol; this module does the waiting. What a general server does beside (proxies, dates,
time-outs for idle connections, an application interface) would cost more than what a request is about, in the
process that also audits the books. Requests of one connection are answered one after the other, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools

from harness.postgres.server import finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    Handler = Callable[["Request"], Awaitable[tuple[int, Mapping[str, Any]]]]

LARGEST_BODY = 64 * 1024
"""Bytes of a body. Of a larger one so many and one are kept, for the handler to refuse."""
_STOP = 2.0
"""Seconds for the last answers to leave at the end."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """As it was sent, percent-encoded."""
    query: str
    body: bytes
    keep_alive: bool


@contextlib.asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[str]:
    """Serve on a port of the kernel's choice for the length of a block, and yield the base URL.

    At the end what is under way is cancelled: once for each connection, and its handler must answer at once.

    :param handle: answers a request with a status and a JSON object. Must not raise.
    """
    connections: set[_Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(handle, connections), "127.0.0.1", 0, backlog=1024
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await finish(_end(connections))


async def _end(connections: set[_Connection]) -> None:
    """Close all connections, after their last answers if these leave in time."""
    open_ = tuple(connections)
    for connection in open_:
        connection.end()
    if open_:
        await asyncio.wait([connection.lost for connection in open_], timeout=_STOP)
    for connection in tuple(connections):
        connection.abort()


class _Connection(asyncio.Protocol):
    """One connection. What is public beside ``end`` and ``abort`` is called by asyncio and by httptools."""

    def __init__(self, handle: Handler, connections: set[_Connection]) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handle = handle
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = self._body = b""
        self._waiting: deque[Request] = deque()
        self._answering: asyncio.Task[None] | None = None
        self._ending = False

    def end(self) -> None:
        """Answer what is under way at once, and close."""
        self._ending = True
        if self._answering is None:
            self._close()
        else:
            self._answering.cancel()

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # Not all that are one derive from it: those of uvloop do not.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # why does not matter
        """Forget the connection; what was asked on it runs to its end all the same."""
        self._connections.discard(self)
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as it goes."""
        if self._ending:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._waiting.clear()
            self._write(_head(400, 0, keep_alive=False))
            self._close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = self._body = b""

    def on_url(self, url: bytes) -> None:
        """Take what is asked for; it may come in parts."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Tell a client that waits to be told to go on."""
        if name.lower() == b"expect" and value.lower() == b"100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take the body; it may come in parts."""
        self._body += body[: LARGEST_BODY + 1 - len(self._body)]

    def on_message_complete(self) -> None:
        """Have the request answered once those before it are."""
        path, _, query = self._target.decode("latin-1").partition("?")
        method, keep_alive = self._parser.get_method().decode(), self._parser.should_keep_alive()
        self._waiting.append(Request(method, path, query, self._body, keep_alive))
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer())
            self._answering.add_done_callback(self._answered)

    async def _answer(self) -> None:
        """Answer what waits. Whatever comes once nothing waits begins another task."""
        try:
            while self._waiting and not self._ending:
                request = self._waiting.popleft()
                status, data = await self._handle(request)
                content = json.dumps(data).encode()
                head = _head(status, len(content), keep_alive=request.keep_alive)
                self._write(head if request.method == "HEAD" else head + content)
                if not request.keep_alive:
                    self._close()
        finally:
            self._answering = None

    def _answered(self, answering: asyncio.Task[None]) -> None:
        if self._ending:
            self._close()
        if not answering.cancelled():
            answering.result()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _head(status: int, length: int, *, keep_alive: bool) -> bytes:
    """Return the head of a response, to its last byte."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {length}",
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("retry-after: 1")
    if not keep_alive:
        lines.append("connection: close")
    return "\r\n".join((*lines, "", "")).encode()
