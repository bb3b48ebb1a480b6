"""One connection to the target, on which nothing is ever sent twice.

Locust's own HTTP client sends a request again when the connection breaks before the answer, where HTTP's
rules allow it. A cancel that was done, and then asked for again, is refused; the history would show one
request and the answer to another. So buyers have a client of their own: it sends a request once, and what
becomes of it is known or unknown.
"""

from __future__ import annotations

import contextlib
from select import POLLIN
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import gevent
from gevent import monkey, socket
from geventhttpclient.response import HTTPParseError, HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_poll = monkey.get_original("select", "poll")
"""That of the standard library: gevent's goes through its loop, and we ask without waiting."""

_BLOCK = 65536
FAILURES = (OSError, HTTPParseError, ValueError)
"""What comes instead of an answer: a connection that cannot be had, or breaks, or speaks no HTTP."""


class NoAnswerError(Exception):
    """The request may have been done, or not: nothing that is an answer came in time."""


class Origin:
    """Where requests go, and what is sent with each."""

    def __init__(self, url: str, headers: Mapping[str, str], tls: Callable[[], Any]) -> None:
        """Read the base URL.

        :param headers: sent with every request.
        :param tls: makes the SSL context, where the URL says ``https``.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self.address = (parts.hostname or "", parts.port or (443 if secure else 80))
        self.context = tls() if secure else None
        self.prefix = parts.path.rstrip("/")
        fields = {
            "Host": parts.netloc.rpartition("@")[2],
            "Accept": "*/*",
            "User-Agent": "oversell",
            **headers,
        }
        self.head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def request(self, method: str, path: str, body: bytes | None) -> bytes:
        """Return a request as it is sent."""
        content = ""
        if body is not None:
            content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        elif method in ("POST", "PUT"):
            content = "Content-Length: 0\r\n"
        head = f"{method} {self.prefix}{path} HTTP/1.1\r\n{self.head}{content}\r\n"
        return head.encode("latin-1") + (body or b"")


class Connection:
    """One connection at a time to an origin, opened when it is needed."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._socket: Any = None
        self._poller: Any = None

    def open(self, timeout: float) -> None:
        """See that there is a connection, and that the other side has not closed it meanwhile.

        :param timeout: seconds.
        :raises NoAnswerError: when there can be none.
        """
        if self._socket is not None and self._poller.poll(0):
            self.close()
        if self._socket is None:
            try:
                with gevent.Timeout(timeout, TimeoutError("timed out")):
                    self._socket = self._connect()
            except FAILURES as error:
                raise NoAnswerError(_say(error)) from error
            self._poller = _poll()
            self._poller.register(self._socket.fileno(), POLLIN)

    def ask(
        self, method: str, path: str, body: bytes | None, timeout: float, *, among_others: bool = False
    ) -> tuple[int, bytes]:
        """Send a request, once, and return the status and the body of what is answered.

        :param timeout: seconds until the answer must have come as a whole.
        :param among_others: let others send theirs before the answer is looked for: it may be there already.
        :raises NoAnswerError: when it did not. The connection is closed then.
        """
        try:
            with gevent.Timeout(timeout, TimeoutError(f"no answer within {timeout:g} s")):
                self._socket.sendall(self._origin.request(method, path, body))
                if among_others:
                    gevent.sleep(0)
                return self._receive(method)
        except FAILURES as error:
            self.close()
            raise NoAnswerError(_say(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _connect(self) -> Any:
        origin = self._origin
        connected = socket.create_connection(origin.address)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.context is not None:
            connected = origin.context.wrap_socket(connected, server_hostname=origin.address[0])
        return connected

    def _receive(self, method: str) -> tuple[int, bytes]:
        response = _Response(method)
        while not response.whole:
            data = self._socket.recv(_BLOCK)
            response.feed(data)
            if not data and not response.whole:
                raise HTTPParseError("the connection was closed before the answer was whole")
        if response.should_close():
            self.close()
        return response.status_code, b"".join(response.parts)


class _Response(HTTPResponse):
    """A response in the making; those that only announce another (1xx) do not count."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.parts: list[bytes] = []

    @property
    def whole(self) -> bool:
        """Whether all of it has come."""
        return self.message_complete and self.status_code >= 200

    def _on_body(self, buf: bytes | bytearray) -> None:
        self.parts.append(bytes(buf))


def _say(error: BaseException) -> str:
    """Return a short line, the same for the same cause: Locust counts by it."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}"[:120]
