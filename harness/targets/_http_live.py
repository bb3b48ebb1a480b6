"""The other end of ``/api/events/{id}/live``: remembers the last number heard of every ticket type.

wsproto does the protocol; this module does the waiting, as in :mod:`harness.targets._http_client`.
"""

from __future__ import annotations

import asyncio
import json
import math
from itertools import count
from typing import TYPE_CHECKING, Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Event, Ping, RejectConnection, Request, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from harness.model import Answer, Outcome
from harness.targets._http_client import BrokenConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Gate
    from harness.targets._http_client import Address

TIMEOUT = 5.0
"""Seconds for the first message, and for the answer to a sync."""
PATIENT_SALES = 20
"""Sales that are listened to although nobody has read a notice yet."""
_LONGEST = 1_000_000
"""Characters of a message that is still read; no ticket types need as many."""


class NoNoticesError(Exception):
    """The service does not offer such notices."""


class LiveNumbers:
    """What a service says of the sale that is on: one socket for each of its events.

    A socket costs a sixth of a short run, and few scenarios read notices. So sales of which
    nobody wants to know are listened to for a while only, and no longer than it works. After that a socket is
    opened when somebody reads, and from then on for every sale again.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sockets: dict[int, LiveConnection] = {}
        self._opening = asyncio.Lock()
        self._patience: float = PATIENT_SALES
        """Sales that will be listened to from their beginning; no end of them once somebody could read."""

    async def watch(self, events: Iterable[int]) -> None:
        """Leave the sale before, and listen to this one from now on."""
        self.abort()
        if not self._patience:
            return
        self._patience -= 1
        try:
            for event in events:
                await self._open(event)
        except (NoNoticesError, BrokenConnectionError, OSError):
            # What went wrong is said to whoever wants to know a number.
            self._patience = 0

    async def read(self, event: int, ticket: str, gate: Gate) -> Answer:
        """Return the last number heard of a ticket type, once all that was sent before has arrived."""
        try:
            socket = await self._open(event)
            self._patience = math.inf
            number = await socket.read(ticket, gate)
        except NoNoticesError as error:
            return Answer(Outcome.INVALID, detail=str(error))
        except TimeoutError:
            return Answer(Outcome.UNKNOWN, detail=f"no answer to a sync within {TIMEOUT:g} s")
        if number is None:
            return Answer(Outcome.UNKNOWN, detail="nothing was ever said of that ticket type")
        return Answer(Outcome.ACCEPTED, remaining=number)

    def rest(self) -> None:
        """Listen to nothing any more, until somebody reads."""
        self.abort()
        self._patience = 0

    def abort(self) -> None:
        """Break all connections."""
        for socket in self._sockets.values():
            socket.abort()
        self._sockets.clear()

    async def _open(self, event: int) -> LiveConnection:
        """Return the event's socket, opened again where it was lost."""
        async with self._opening:
            socket = self._sockets.get(event)
            if socket is None or not socket.usable:
                socket = await LiveConnection.open(self._address, f"/api/events/{event}/live")
                self._sockets[event] = socket
            return socket


class LiveConnection:
    """One socket, on which the numbers of one event are heard."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    @classmethod
    async def open(cls, address: Address, path: str) -> LiveConnection:
        """Connect, and wait for the first message.

        :raises NoNoticesError: when the service does not offer this.
        :raises BrokenConnectionError: when the connection ends before, or is no WebSocket.
        :raises TimeoutError: when nothing comes.
        :raises OSError: when nobody answers.
        """
        async with asyncio.timeout(TIMEOUT):
            wire = await address.connect(lambda: _Wire(address.authority, address.path + path))
            try:
                await wire.begun
            except BaseException:
                wire.abort()
                raise
        return cls(wire)

    @property
    def usable(self) -> bool:
        """Say whether anything can still be heard on it."""
        return self._wire.usable

    async def read(self, ticket: str, gate: Gate) -> int | None:
        """Return the last number heard of a ticket type, once all that was sent before has arrived.

        :returns: ``None`` when nothing was ever heard of it.
        :raises BrokenConnectionError: when the connection ends before that.
        :raises TimeoutError: when the service does not say in time that it has.
        """
        synced = asyncio.get_running_loop().create_future()
        await gate(lambda: self._wire.sync(synced))
        async with asyncio.timeout(TIMEOUT):
            await synced
        return self._wire.heard.get(ticket)

    def abort(self) -> None:
        """Break the connection."""
        self._wire.abort()


class _Wire(asyncio.Protocol):
    """The bytes of one connection."""

    def __init__(self, host: str, target: str) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard: dict[str, int] = {}
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._request = Request(host=host, target=target)
        self._transport: asyncio.Transport | None = None
        self._awaited: dict[int, asyncio.Future[None]] = {}
        """By the id of the sync: who waits for its answer."""
        self._ids = count(1)
        self._message = ""

    @property
    def usable(self) -> bool:
        """Say whether the connection stands."""
        return self._transport is not None and not self._transport.is_closing()

    def sync(self, synced: asyncio.Future[None]) -> None:
        """Ask whether everything has arrived; ``synced`` is done when the answer has."""
        if not self.usable:
            _fail(synced, BrokenConnectionError("the socket is closed"))
            return
        identity = next(self._ids)
        self._awaited[identity] = synced
        self._send(TextMessage(data=json.dumps({"type": "sync", "id": identity})))

    def abort(self) -> None:
        """Break the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._send(self._request)

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as it goes."""
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                self._handle(event)
        except (RemoteProtocolError, LocalProtocolError, ValueError) as error:
            self._end(BrokenConnectionError(f"the service speaks no WebSocket that we know: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self._end(BrokenConnectionError(f"the socket was closed ({exc or 'end'})"))

    def _handle(self, event: Event) -> None:
        match event:
            case RejectConnection(status_code=status):
                self._end(NoNoticesError(f"status {status} where notices were asked for"))
            case TextMessage(data=part, message_finished=finished):
                self._message += part
                if len(self._message) > _LONGEST:
                    raise ValueError("a message without end")
                if finished:
                    message, self._message = self._message, ""
                    self._hear(json.loads(message))
            case Ping():
                self._send(event.response())
            case CloseConnection(code=code, reason=reason):
                words = f"the service closed the socket: {code} {reason or ''}".strip()
                self._end(BrokenConnectionError(words[:200]))

    def _hear(self, message: Any) -> None:
        """Take a message of the contract; others are passed over."""
        match message:
            case {"type": "snapshot", "tickets": list(tickets)}:
                self.heard = {}
                for ticket in tickets:
                    self._note(ticket)
                if not self.begun.done():
                    self.begun.set_result(None)
            case {"type": "availability"}:
                self._note(message)
            case {"type": "synced", "id": int(identity)} if identity in self._awaited:
                synced = self._awaited.pop(identity)
                if not synced.done():
                    synced.set_result(None)

    def _note(self, ticket: Any) -> None:
        match ticket:
            case {"ticketId": str(name), "available": int(number)}:
                self.heard[name] = number

    def _send(self, event: Event) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._ws.send(event))

    def _end(self, error: Exception) -> None:
        for future in (self.begun, *self._awaited.values()):
            _fail(future, error)
        self._awaited.clear()
        self.abort()


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        # Nobody may be waiting any more; that is no reason for a warning.
        future.exception()
