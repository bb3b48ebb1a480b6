"""A WebSocket client for tests: everything it gets, in order, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.service.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wsproto.events import Event

    from tests.service.running import Service


class ClosedError(Exception):
    """The socket was closed where a message was expected."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@dataclass
class Socket:
    """One open socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers_pings: bool = True
    _ws: WSConnection = field(default_factory=lambda: WSConnection(ConnectionType.CLIENT))
    _parts: str = ""
    _messages: list[Any] = field(default_factory=list)

    async def receive(self) -> Any:
        """Return the next message, as data.

        :raises ClosedError: when the service closes the socket instead.
        """
        async with asyncio.timeout(PATIENCE):
            while not self._messages:
                try:
                    data = await self.reader.read(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    raise ClosedError(1006)
                self._ws.receive_data(data)
                for event in self._ws.events():
                    self._handle(event)
        message = self._messages.pop(0)
        if isinstance(message, ClosedError):
            raise message
        return message

    async def until_closed(self) -> int:
        """Read on until the service closes the socket, and return its code."""
        try:
            while True:
                await self.receive()
        except ClosedError as closed:
            return closed.code

    async def until_available(self, number: int) -> list[int]:
        """Read changes until so many are available; return every number on the way."""
        seen: list[int] = []
        while not seen or seen[-1] != number:
            message = await self.receive()
            tickets = message.get("tickets", [message])
            seen += [ticket["available"] for ticket in tickets if "available" in ticket]
        return seen

    async def sync(self) -> list[Any]:
        """Ask whether everything has arrived, and return what came before the answer."""
        self.send('{"type": "sync"}')
        before = []
        while (message := await self.receive()) != {"type": "synced"}:
            before.append(message)
        return before

    def send(self, text: str) -> None:
        """Send a message."""
        self.writer.write(self._ws.send(TextMessage(data=text)))

    def _handle(self, event: Event) -> None:
        match event:
            case TextMessage(data=data, message_finished=finished):
                self._parts += data
                if finished:
                    self._messages.append(json.loads(self._parts))
                    self._parts = ""
            case Ping() if self.answers_pings:
                self.writer.write(self._ws.send(event.response()))
            case CloseConnection(code=code):
                self._messages.append(ClosedError(code))
            case RejectConnection(status_code=status):
                self._messages.append(ClosedError(status))
            case AcceptConnection() | Ping():
                pass
            case other:
                raise AssertionError(f"did not expect {other}")

    def open(self, host: str, path: str) -> None:
        """Ask for a WebSocket."""
        self.writer.write(self._ws.send(Request(host=host, target=path)))


@contextlib.asynccontextmanager
async def opened(
    service: Service, event: object, *, answers_pings: bool = True, buffer: int | None = None
) -> AsyncIterator[Socket]:
    """Open a socket that watches an event.

    :param buffer: bytes that the kernel takes for us before we read them; its own choice unless given.
    """
    raw = sockets.socket(sockets.AF_INET)
    raw.setblocking(False)
    if buffer is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, buffer)
    await asyncio.get_running_loop().sock_connect(raw, service.address)
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    try:
        socket = Socket(reader, writer, answers_pings)
        host, port = service.address
        socket.open(f"{host}:{port}", f"/api/events/{event}/live")
        yield socket
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, OSError):
            await writer.wait_closed()
