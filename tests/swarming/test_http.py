"""The small HTTP server: whatever way the bytes come in, the answers go out whole and in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from harness.swarming.http import LARGEST_BODY, Request, _Connection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ASKED = b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST /a%2Fb?c=d HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"
)
WANTED = Request("POST", "/a%2Fb", "c=d", b"body", keep_alive=True)


@dataclass
class Echo:
    """Answers 200 with a number, and keeps what it was asked."""

    seen: list[Request] = field(default_factory=list)
    status: int = 200

    async def __call__(self, request: Request) -> tuple[int, Mapping[str, Any]]:
        self.seen.append(request)
        return self.status, {"number": len(self.seen)}


@contextlib.asynccontextmanager
async def talking(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a connection."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, Any]:
    """Return the head of the next answer, and what its body says."""
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
    body = await reader.readexactly(int(length.split()[1]))
    return head, json.loads(body)


@pytest.mark.parametrize("asked", [ASKED, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_request_may_come_in_pieces(asked: bytes, size: int) -> None:
    """One byte at a time, and with a body in chunks too."""
    echo = Echo()
    async with serving(echo) as url, talking(url) as (reader, writer):
        for start in range(0, len(asked), size):
            writer.write(asked[start : start + size])
            await writer.drain()
        head, data = await answer(reader)
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    assert data == {"number": 1}
    assert echo.seen == [WANTED]


async def test_requests_that_come_together_are_answered_in_their_order() -> None:
    """One after the other, each once."""
    echo = Echo()
    async with serving(echo) as url, talking(url) as (reader, writer):
        writer.write(ASKED * 3)
        numbers = [(await answer(reader))[1]["number"] for _ in range(3)]
        writer.write(ASKED)
        numbers.append((await answer(reader))[1]["number"])
    assert numbers == [1, 2, 3, 4]
    assert echo.seen == [WANTED] * 4


class Eager(asyncio.Transport):
    """The other end of a client whose next request is there as soon as its last one was answered."""

    def __init__(self, requests: int) -> None:
        super().__init__()
        self.connection: asyncio.Protocol | None = None
        self.written = asyncio.Event()
        self._left = requests

    def write(self, data: Any) -> None:  # noqa: ARG002  # any answer will do
        """Send the next request, before anything else can happen that is not under way yet."""
        self._left -= 1
        if self._left:
            assert self.connection is not None
            asyncio.get_running_loop().call_soon(self.connection.data_received, ASKED)
        else:
            self.written.set()

    def is_closing(self) -> bool:
        """It never is."""
        return False


async def test_a_request_that_comes_at_the_very_end_of_the_one_before_is_answered() -> None:
    """Between the last look for what waits and the end of the task that looked, there is no gap."""
    transport = Eager(3)
    transport.connection = _Connection(Echo(), set())
    transport.connection.connection_made(transport)
    transport.connection.data_received(ASKED)
    async with asyncio.timeout(30):
        await transport.written.wait()


async def test_a_client_that_waits_to_be_told_is_told_to_go_on() -> None:
    """As clients do that ask before they send a body."""
    async with serving(Echo()) as url, talking(url) as (reader, writer):
        head, _, body = ASKED.partition(b"\r\n\r\n")
        writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await answer(reader))[1] == {"number": 1}


@pytest.mark.parametrize("asked", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
async def test_a_connection_is_closed_where_the_client_wants_it(asked: bytes) -> None:
    """After the answer, which says so."""
    async with serving(Echo()) as url, talking(url) as (reader, writer):
        writer.write(asked)
        head, _ = await answer(reader)
        assert b"connection: close\r\n" in head
        assert await reader.read() == b""


async def test_the_answer_to_head_has_no_body() -> None:
    """The next answer would be taken for it."""
    async with serving(Echo()) as url, talking(url) as (reader, writer):
        writer.write(b"HEAD / HTTP/1.1\r\n\r\n" + ASKED)
        assert b"content-length: 13\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert (await answer(reader))[1] == {"number": 2}


async def test_whoever_is_to_come_back_is_told_when() -> None:
    """503 promises that nothing was done."""
    async with serving(Echo(status=503)) as url, talking(url) as (reader, writer):
        writer.write(ASKED)
        assert b"retry-after: 1\r\n" in (await answer(reader))[0]


@pytest.mark.parametrize(
    "asked",
    [
        b"HELO there\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_what_is_no_http_ends_the_connection(asked: bytes) -> None:
    """With 400, and nothing is asked of anybody."""
    echo = Echo()
    async with serving(echo) as url, talking(url) as (reader, writer):
        writer.write(asked)
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert echo.seen == []


async def test_no_more_of_a_body_is_kept_than_is_needed_to_refuse_it() -> None:
    """However much is sent."""
    echo = Echo()
    async with serving(echo) as url, talking(url) as (reader, writer):
        writer.write(ASKED.replace(b": 4", b": 1000000").removesuffix(b"body") + b"x" * 1_000_000)
        await answer(reader)
    assert len(echo.seen[0].body) == LARGEST_BODY + 1


async def test_at_the_end_what_is_under_way_is_answered_and_all_connections_are_closed() -> None:
    """Those on which nothing is asked, too; nobody has to wait for the clients."""
    begun = asyncio.Event()

    async def cancelled(_: Request) -> tuple[int, Mapping[str, Any]]:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 500, {"ended": True}
        raise AssertionError("it never gets here")

    async with contextlib.AsyncExitStack() as stack:
        async with serving(cancelled) as url:
            reader, writer = await stack.enter_async_context(talking(url))
            idle, _ = await stack.enter_async_context(talking(url))
            writer.write(ASKED * 2)
            await begun.wait()
        assert (await answer(reader))[1] == {"ended": True}
        assert await reader.read() == b""
        assert await idle.read() == b""
