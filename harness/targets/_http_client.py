"""A raw HTTP/1.1 client that can hold back the last byte of a request.

h11 does the protocol; this module does the waiting. An ordinary client sends a request when it is asked to,
and twenty of them reach a server over some milliseconds. Here everything but the last byte has been sent
before, and the last bytes leave in one tight loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import h11

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model import Gate

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)

_CONNECT_TIMEOUT = 10.0


class BrokenConnectionError(Exception):
    """The connection ended before the answer did, or what came back is no HTTP."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service is."""

    host: str
    port: int
    encrypted: bool
    path: str
    """What comes before every path of the contract; without a slash at the end."""

    @property
    def authority(self) -> str:
        """Host and port, as requests name them."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as one writes it."""
        return f"http{'s' if self.encrypted else ''}://{self.authority}{self.path}"

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read an address.

        :raises UsageError: when the URL is not http(s), has no host, or holds a password or a query.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"No valid URL: {error}.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"A service is named by http://HOST[:PORT], not {parts.scheme}://….")
        if parts.username is not None:
            raise UsageError("A service's URL must not hold a user name or password.")
        if parts.query or parts.fragment:
            raise UsageError("A service's URL ends with its path: no query, no fragment.")
        encrypted = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if encrypted else 80), encrypted, parts.path.rstrip("/"))

    async def connect(self, protocol: Callable[[], Protocol]) -> Protocol:
        """Return a protocol that is connected to there, encrypted where the address says so.

        :raises OSError: when nobody answers.
        """
        _, connected = await asyncio.get_running_loop().create_connection(
            protocol, self.host, self.port, ssl=ssl.create_default_context() if self.encrypted else None
        )
        return connected


class HttpConnection:
    """One connection, one request at a time, opened again when the other side has closed it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._wire: _Wire | None = None

    async def open(self) -> None:
        """Connect, if that is not the case already.

        :raises OSError: when nobody answers within ten seconds.
        """
        if self._wire is not None and self._wire.usable:
            return
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            self._wire = await self._address.connect(_Wire)

    async def request(
        self,
        method: str,
        path: str,
        *,
        gate: Gate | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response:
        """Send a request, its last byte through the gate, and return the response.

        :raises BrokenConnectionError: when the answer does not come, or is no HTTP.
        """
        await self.open()
        wire = self._require_wire()
        data = wire.render(self._request(method, path, headers, body), body)
        if gate is None:
            wire.write(data)
        else:
            wire.write(data[:-1])
            await gate(lambda: wire.write(data[-1:]))
        return await wire.response()

    async def cut(self, method: str, path: str, headers: Mapping[str, str], body: bytes, gate: Gate) -> None:
        """Send a request up to the middle of its body, and break the connection at the gate."""
        await self.open()
        wire = self._require_wire()
        data = wire.render(self._request(method, path, headers, body), body)
        wire.write(data[: len(data) - len(body) // 2])
        await gate(wire.abort)

    def abort(self) -> None:
        """Break the connection."""
        if self._wire is not None:
            self._wire.abort()

    def _require_wire(self) -> _Wire:
        if self._wire is None:
            raise BrokenConnectionError("not connected")
        return self._wire

    def _request(self, method: str, path: str, headers: Mapping[str, str] | None, body: bytes) -> h11.Request:
        fields = {"Host": self._address.authority, **(headers or {})}
        if body or method in ("POST", "PUT"):
            fields["Content-Length"] = str(len(body))
        return h11.Request(method=method, target=self._address.path + path, headers=list(fields.items()))


class _Wire(asyncio.Protocol):
    """The bytes of one connection."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._head: h11.Response | None = None
        self._body = bytearray()

    @property
    def usable(self) -> bool:
        """Say whether another request can be sent."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and self._http.our_state is h11.IDLE

    def render(self, request: h11.Request, body: bytes) -> bytes:
        """Return the bytes of a request."""
        self._answer = asyncio.get_running_loop().create_future()
        self._head, self._body = None, bytearray()
        data = self._http.send(request) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        return data + (self._http.send(h11.EndOfMessage()) or b"")

    def write(self, data: bytes) -> None:
        """Send bytes, if there is still somebody to send them to."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def abort(self) -> None:
        """Break the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def response(self) -> Response:
        """Wait for the response."""
        return await self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Read what came, as far as it goes. What nobody asked for is the answer to no later request."""
        if self._answer.done():
            self.abort()
            return
        try:
            self._http.receive_data(data)
            self._read_events()
        except h11.RemoteProtocolError as error:
            self._fail(BrokenConnectionError(f"the answer is no HTTP: {error}"))
            self.abort()

    def eof_received(self) -> None:
        """Take the end of the stream as the end of a body without a length, and of nothing else."""
        with contextlib.suppress(h11.RemoteProtocolError):
            self._http.receive_data(b"")
            self._read_events()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that nothing more will come."""
        self._fail(
            BrokenConnectionError(f"the connection was closed before the answer came ({exc or 'end'})")
        )

    def _read_events(self) -> None:
        while True:
            match self._http.next_event():
                case h11.Response() as head:
                    self._head = head
                case h11.Data() as part:
                    self._body += part.data
                case h11.EndOfMessage():
                    self._finish()
                    return
                case h11.InformationalResponse():
                    continue
                case _:
                    return

    def _finish(self) -> None:
        if self._head is None or self._answer.done():
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._head.headers}
        self._answer.set_result(Response(self._head.status_code, headers, bytes(self._body)))
        both_done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if both_done and not self._http.trailing_data[0]:
            self._http.start_next_cycle()
        else:
            self.abort()

    def _fail(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
            # Nobody may be waiting, as when the client went away; that is no reason for a warning.
            self._answer.exception()
