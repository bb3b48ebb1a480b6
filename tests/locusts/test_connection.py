"""The buyers' own HTTP connection, in a process of its own, against a server that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.locusts.running import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ASKING = """
import json, sys
import locust
from locust.contrib.fasthttp import insecure_ssl_context_factory
from harness.locusts import connection as reading
from harness.locusts.connection import Connection, NoAnswerError, Origin
url, times, reading._BLOCK = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = Connection(Origin(url, {"X-Mine": "1"}, insecure_ssl_context_factory))
told = []
for _ in range(times):
    try:
        connection.open(5)
        status, body = connection.ask("POST", "/api/rsvp?a=%20b", b"{}", 1.0)
        told.append([status, body.decode()])
    except NoAnswerError as error:
        told.append(str(error))
print(json.dumps(told))
"""


@contextlib.asynccontextmanager
async def saying(
    answer: bytes, *, closes: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer every request with these bytes."""
    requests: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                requests.append(head + await reader.readexactly(2))
                writer.write(answer)
                await writer.drain()
                if closes:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def ask(url: str, times: int = 1, *, block: int = 65536) -> list[Any]:
    """Ask so many times on one connection, and return what came of it.

    :param block: how many bytes are read at a time.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKING, url, str(times), str(block), stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        async with asyncio.timeout(30):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answers: list[Any] = json.loads(told)
    return answers


WHOLE = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
ANNOUNCED = b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE


@pytest.mark.parametrize(
    ("raw", "status"), [(WHOLE, 201), (CHUNKED, 409), (ANNOUNCED, 201)], ids=["whole", "chunked", "announced"]
)
@pytest.mark.parametrize("block", [65536, 1])
async def test_an_answer_is_read_however_it_comes(raw: bytes, status: int, block: int) -> None:
    """As a whole or byte by byte, and the connection is used again."""
    async with saying(raw) as (port, requests):
        assert await ask(f"http://127.0.0.1:{port}", 3, block=block) == [[status, "hello"]] * 3
        assert len(requests) == 3
        assert len(set(requests)) == 1


async def test_a_request_says_what_it_must() -> None:
    """Host, length and type, the headers of the buyer, and the path of the base URL before its own."""
    async with saying(WHOLE) as (port, requests):
        await ask(f"http://127.0.0.1:{port}/shop/")
        head, *lines = requests[0].decode().split("\r\n")
        assert head == "POST /shop/api/rsvp?a=%20b HTTP/1.1"
        assert {f"Host: 127.0.0.1:{port}", "Content-Length: 2", "Content-Type: application/json"} < set(lines)
        assert "X-Mine: 1" in lines
        assert lines[-1] == "{}"


@pytest.mark.parametrize(
    ("raw", "closes", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nall of it", True, [200, "all of it"]),
        (b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", True, [201, "ok"]),
        (b"", True, "closed before the answer was whole"),
        (WHOLE[:-2], True, "HTTPParseError"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", False, "HTTPParseError"),
        (WHOLE[:-2], False, "no answer within 1 s"),
    ],
    ids=["until the end", "said so", "nothing", "cut off", "no http", "half, then silence"],
)
async def test_how_an_answer_may_end(raw: bytes, closes: bool, expected: Any) -> None:
    """What is whole is an answer, all else is none; and each request was sent once."""
    async with saying(raw, closes=closes) as (port, requests):
        answers = await ask(f"http://127.0.0.1:{port}", 2)
        assert len(requests) == 2
        if isinstance(expected, str):
            assert all(expected in answer for answer in answers), answers
        else:
            assert answers == [expected, expected]


async def test_https_is_spoken(tmp_path: Path) -> None:
    """Like Locust's own client it takes any certificate, unless told otherwise."""
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=localhost", "-keyout", str(tmp_path / "key"), "-out"),
        str(tmp_path / "certificate"),
        stderr=subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    async with saying(WHOLE, tls=context) as (port, requests):
        assert await ask(f"https://localhost:{port}", 2) == [[201, "hello"]] * 2
        assert len(requests) == 2


HOSTS = """
from types import SimpleNamespace
from harness.locusts.hosts import is_this_machine, why_not
for url in ("http://localhost:1", "http://127.0.0.1", "http://127.8.9.1:3", "http://[::1]", "http://a.localhost"):
    assert is_this_machine(url), url
for url in ("http://shop.example", "http://10.0.0.1", "http://0.0.0.0", "http://127.0.0.1.example", "", "x"):
    assert not is_this_machine(url), url
ours, theirs = "http://127.0.0.1:1", "http://ann:secret@shop.example"
def looked_at(plan, host, *classes, may=False):
    environment = SimpleNamespace(host=host, user_classes=[SimpleNamespace(host=each) for each in classes])
    return why_not(SimpleNamespace(host=plan, may_load_host=may), environment)
assert looked_at(ours, None) is None
assert looked_at(ours, ours, theirs) is None, "Locust's own --host is what its users load"
assert looked_at(theirs, None, may=True) is None
for told in (looked_at(theirs, None), looked_at(ours, theirs), looked_at(ours, None, theirs)):
    assert told.startswith("http://shop.example is not this machine"), told
"""


def test_whose_machine_it_is() -> None:
    """Only names and numbers that can mean nothing else are this machine; secrets are not told."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTS], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
