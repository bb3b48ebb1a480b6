"""The HTTP client that holds back the last byte: fed split bytes, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import pytest

from harness.driving.gate import Barrier, OpenGate
from harness.errors import UsageError
from harness.targets._http_client import Address, BrokenConnectionError, HttpConnection, _Wire
from tests.targets.peer import OK, PATIENCE, Conversation, has_head, peer

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = b'{"ticketId": "general"}'
CERTIFICATE = Path(__file__).with_name("localhost.pem")

RESPONSES = {
    "length": (
        b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 11\r\n\r\nhello world",
        201,
        b"hello world",
    ),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: t\r\n\r\n",
        200,
        b"hello world",
    ),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "informational": (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 409 C\r\nContent-Length: 0\r\n\r\n",
        409,
        b"",
    ),
}


class Transport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


async def asked() -> tuple[_Wire, Transport]:
    """Return one side of a connection that has sent a request."""
    wire, transport = _Wire(), Transport()
    wire.connection_made(transport)
    wire.write(wire.render(h11.Request(method="GET", target="/", headers=[("Host", "h")]), b""))
    return wire, transport


@pytest.mark.parametrize("kind", RESPONSES)
async def test_a_response_is_read_however_it_is_split(kind: str) -> None:
    """Cut in two at every byte, and byte by byte: the same response, and the connection goes on."""
    data, status, body = RESPONSES[kind]
    pieces = [[data[:cut], data[cut:]] for cut in range(len(data) + 1)]
    for pieces_of_one in [*pieces, [bytes([byte]) for byte in data]]:
        wire, transport = await asked()
        for piece in pieces_of_one:
            wire.data_received(piece) if piece else None
        response = await wire.response()
        assert (response.status, response.body) == (status, body)
        assert wire.usable
        assert not transport.closed


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """It is whole when the stream ends, and the next request opens another connection."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(b"HTTP/1.1 200 OK\r\n\r\nhello ")
        await conversation.answer(b"world")

    async with peer(script) as served:
        connection = served.connection()
        for _ in range(2):
            assert (await connection.request("GET", "/")).body == b"hello world"
        assert len(served.conversations) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ],
)
async def test_a_response_cut_short_is_no_response(data: bytes) -> None:
    """What came is not taken for the whole."""
    wire, _ = await asked()
    wire.data_received(data) if data else None
    wire.eof_received()
    wire.connection_lost(None)
    with pytest.raises(BrokenConnectionError):
        await wire.response()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\r\n" * 9000,
    ],
)
async def test_a_server_that_speaks_something_else_is_a_broken_connection(nonsense: bytes) -> None:
    """It is said that this is no HTTP, and the connection is not used again."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(nonsense)
        await conversation.read_to_the_end()

    async with peer(script) as served:
        connection = served.connection()
        with pytest.raises(BrokenConnectionError, match="no HTTP"):
            await connection.request("GET", "/")
        await served.finished.get()
        with pytest.raises(BrokenConnectionError):
            await connection.request("GET", "/")
        assert len(served.conversations) == 2


async def test_a_server_that_closes_is_a_broken_connection_and_is_tried_again() -> None:
    """The next request opens a connection of its own."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        if len(served.conversations) > 1:
            await conversation.answer(OK)

    async with peer(script) as served:
        connection = served.connection()
        with pytest.raises(BrokenConnectionError, match="closed before the answer came"):
            await connection.request("GET", "/")
        assert (await connection.request("GET", "/")).status == 200
        assert len(served.conversations) == 2


async def test_a_connection_is_kept_alive() -> None:
    """Several requests, one connection: a rush does not pay for handshakes."""

    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.read_until(has_head)
            await conversation.answer(OK)

    async with peer(script) as served:
        connection = served.connection()
        for _ in range(3):
            assert (await connection.request("GET", "/")).body == b"{}"
        connection.abort()
        assert len(served.conversations) == 1


async def test_a_server_that_ends_the_connection_is_believed() -> None:
    """After ``Connection: close`` the next request opens another one."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await conversation.read_to_the_end()

    async with peer(script) as served:
        connection = served.connection()
        for _ in range(2):
            assert (await connection.request("GET", "/")).status == 200
        assert len(served.conversations) == 2


async def test_bytes_after_the_response_are_not_taken_for_the_next_one() -> None:
    """A server that says more than it was asked is not listened to any further."""
    seen: list[int] = []

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        first = len(served.conversations) == 1
        await conversation.answer(OK + OK.replace(b"200", b"500") if first else OK)
        await conversation.read_to_the_end()

    async with peer(script) as served:
        connection = served.connection()
        for _ in range(2):
            try:
                seen.append((await connection.request("GET", "/")).status)
            except BrokenConnectionError:
                seen.append(0)
    assert seen[0] == 200
    assert seen[1] == 200
    assert len(served.conversations) == 2


@pytest.mark.parametrize(
    ("method", "body", "is_all_but_the_last"),
    [
        ("POST", BODY, lambda data: data.endswith(BODY[:-1])),
        ("DELETE", b"", lambda data: data.endswith(b"\r\n\r")),
        ("GET", b"", lambda data: data.endswith(b"\r\n\r")),
        ("POST", b"", lambda data: data.endswith(b"\r\n\r")),
    ],
)
async def test_the_last_byte_is_held_back_until_the_gate(
    method: str, body: bytes, is_all_but_the_last: Callable[[bytes], bool]
) -> None:
    """The server has everything else before the gate opens, and the last byte only after it."""
    almost: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    rest: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(conversation: Conversation) -> None:
        almost.set_result(await conversation.read_until(is_all_but_the_last))
        rest.set_result(await conversation.read_until(bool))
        await conversation.answer(OK)

    async def gate(release: Callable[[], None] | None = None) -> None:
        assert release is not None
        sent = await almost
        assert not has_head(sent) or not sent.endswith(body or b"\n")
        assert not rest.done()
        release()

    async with peer(script) as served:
        response = await served.connection().request(method, "/", gate=gate, body=body)
    assert response.status == 200
    assert (almost.result() + rest.result()).endswith(b"\r\n\r\n" + body)
    assert len(rest.result()) == 1


async def test_a_whole_crowd_is_held_and_released_together() -> None:
    """Of five requests all but five bytes have arrived before the barrier opens."""
    prepared: asyncio.Queue[int] = asyncio.Queue()

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(lambda data: data.endswith(BODY[:-1]))
        prepared.put_nowait(len(BODY))
        assert await conversation.read_until(bool) == BODY[-1:]
        await conversation.answer(OK)

    async with peer(script) as served, asyncio.TaskGroup() as group:
        barrier = Barrier()
        requests = [
            group.create_task(served.connection().request("POST", "/", gate=barrier.gate(), body=BODY))
            for _ in range(5)
        ]
        for _ in range(5):
            await prepared.get()
        assert not any(request.done() for request in requests)
        await barrier.open_when_ready(PATIENCE)
    assert [request.result().status for request in requests] == [200] * 5
    assert barrier.spread() is not None


async def test_an_answer_before_the_last_byte_is_an_answer() -> None:
    """A server that refuses early is heard; releasing the byte afterwards harms nobody."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(lambda data: data.endswith(BODY[:-1]))
        await conversation.answer(OK.replace(b"200 OK", b"400 No"))

    async def gate(release: Callable[[], None] | None = None) -> None:
        await served.finished.get()
        assert release is not None
        release()

    async with peer(script) as served:
        assert (await served.connection().request("POST", "/", gate=gate, body=BODY)).status == 400


async def test_an_upload_is_cut_in_the_middle_of_its_body() -> None:
    """The server gets the head and half of the body, then the connection breaks at the gate."""
    body = bytes(1000)
    half: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    everything: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(conversation: Conversation) -> None:
        half.set_result(await conversation.read_until(lambda data: data.endswith(body[:500])))
        everything.set_result(await conversation.read_to_the_end())

    async def gate(release: Callable[[], None] | None = None) -> None:
        await half
        assert release is not None
        release()

    async with peer(script) as served:
        await served.connection().cut("POST", "/", {"X-Kind": "proof"}, body, gate)
        assert await everything == b""
    head, _, sent = half.result().partition(b"\r\n\r\n")
    assert b"content-length: 1000" in head.lower()
    assert len(sent) == 500


async def test_a_connection_broken_by_us_ends_the_request() -> None:
    """A client that walks away does not leave anybody waiting for its answer."""
    came = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        came.set()
        await conversation.read_to_the_end()

    async with peer(script) as served:
        connection = served.connection()
        request = asyncio.ensure_future(connection.request("GET", "/"))
        await came.wait()
        connection.abort()
        with pytest.raises(BrokenConnectionError):
            await request


async def test_nobody_there_is_an_os_error() -> None:
    """Nobody listens any more at an address where somebody did."""

    async def script(_: Conversation) -> None:
        """Say nothing."""

    async with peer(script) as served:
        connection = served.connection()
    with pytest.raises(OSError, match="Connect call failed"):
        await connection.request("GET", "/")
    connection.abort()


async def test_a_request_through_an_open_gate_is_timed() -> None:
    """The gate remembers when the last byte left."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(OK)

    gate = OpenGate()
    async with peer(script) as served:
        await served.connection().request("GET", "/", gate=gate)
    assert gate.passed_at is not None


async def test_an_encrypted_service_is_spoken_to_when_its_certificate_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """https:// works like http://, and a certificate nobody vouches for is refused."""

    async def script(conversation: Conversation) -> None:
        await conversation.read_until(has_head)
        await conversation.answer(OK)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    loop = asyncio.get_running_loop()
    async with peer(script, tls=context) as served:
        loop.set_exception_handler(lambda *_: None)  # the server's side of a refused handshake
        try:
            with pytest.raises(ssl.SSLCertVerificationError):
                await served.connection().request("GET", "/")
        finally:
            loop.set_exception_handler(None)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        connection = served.connection()
        assert (await connection.request("GET", "/")).status == 200
        connection.abort()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://shop.example", Address("shop.example", 80, encrypted=False, path="")),
        ("https://shop.example/", Address("shop.example", 443, encrypted=True, path="")),
        ("http://127.0.0.1:8080/v1/", Address("127.0.0.1", 8080, encrypted=False, path="/v1")),
        ("http://[::1]:8080", Address("::1", 8080, encrypted=False, path="")),
    ],
)
def test_an_address_is_read_from_a_url(url: str, address: Address) -> None:
    """Host, port, encryption, and the path that comes before every path of the contract."""
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://me:secret@shop.example", "user name or password"),
        ("https://me@shop.example", "user name or password"),
        ("http://", r"http://HOST\[:PORT\]"),
        ("http://:8080", r"http://HOST\[:PORT\]"),
        ("ftp://shop.example", r"not ftp://"),
        ("http://shop.example:port", "No valid URL"),
        ("http://shop.example:99999", "No valid URL"),
        ("http://[::1", "No valid URL"),
        ("http://shop.example/?token=secret", "no query"),
        ("http://shop.example/#top", "no query, no fragment"),
    ],
)
def test_a_url_that_names_no_service_is_refused(url: str, words: str) -> None:
    """The reason does not repeat a password."""
    with pytest.raises(UsageError, match=words) as caught:
        Address.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "header"), [("shop.example", b"Host: shop.example:80"), ("::1", b"Host: [::1]:80")]
)
def test_the_host_header_is_written_as_http_wants_it(host: str, header: bytes) -> None:
    """An IPv6 address stands in brackets."""
    connection = HttpConnection(Address(host, 80, encrypted=False, path="/v1"))
    request = connection._request("GET", "/healthz", None, b"")
    assert header in (h11.Connection(h11.CLIENT).send(request) or b"")
    assert request.target == b"/v1/healthz"
