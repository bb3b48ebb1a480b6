"""The link takes the process we started for its peer, and nobody else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness import __version__
from harness.load.messages import (
    LARGEST,
    LENGTH,
    PROTOCOL,
    Hello,
    NoMessageError,
    Stop,
    Taken,
    Trouble,
    from_body,
    length_of,
    to_frame,
)
from harness.swarming.link import listening, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.load.messages import Message
    from harness.swarming.link import Link

HELLO = Hello(worker="", protocol=PROTOCOL, version=__version__, locust="2.47.0")


class Peer:
    """The other end, as Locust's process would hold it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, message: Message) -> None:
        self.writer.write(to_frame(message))

    async def hear(self) -> Message:
        return from_body(await self.reader.readexactly(length_of(await self.reader.readexactly(4))))

    async def is_sent_away(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


@asynccontextmanager
async def peer_of(link: Link) -> AsyncIterator[Peer]:
    """Connect to the engine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def introduced(link: Link) -> Hello:
    """Return how the process we started introduces itself."""
    return replace(HELLO, token=link.address.partition(":")[2])


async def test_messages_go_both_ways_in_order() -> None:
    """What one side says the other hears, whole or in pieces; then it hears that it is over."""
    async with listening() as link, peer_of(link) as peer:
        peer.say(introduced(link))
        assert await link.connected() == introduced(link)
        frame = to_frame(Trouble("w", "late"))
        for byte in frame:
            peer.writer.write(bytes([byte]))
            await peer.writer.drain()
        assert await link.receive() == Trouble("w", "late")
        await link.send(Taken("w", 1))
        await link.send(Stop("enough"))
        assert [await peer.hear(), await peer.hear()] == [Taken("w", 1), Stop("enough")]
        peer.writer.close()
        assert await link.receive() is None


@pytest.mark.parametrize(
    "first",
    [
        to_frame(HELLO),
        to_frame(replace(HELLO, token="guessed")),
        to_frame(Stop("I say so")),
        LENGTH.pack(LARGEST + 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_whoever_does_not_know_the_token_is_sent_away(first: bytes) -> None:
    """The place stays free for the process that does."""
    async with listening() as link:
        async with peer_of(link) as stranger:
            stranger.writer.write(first)
            assert await stranger.is_sent_away()
        assert not link.is_connected
        async with peer_of(link) as peer:
            peer.say(introduced(link))
            await link.connected()


async def test_there_is_no_second_peer() -> None:
    """Even one that knows the token is sent away while the first is there."""
    async with listening() as link, peer_of(link) as peer, peer_of(link) as second:
        peer.say(introduced(link))
        await link.connected()
        second.say(introduced(link))
        assert await second.is_sent_away()


async def test_what_is_no_message_is_said_to_be_none() -> None:
    """The engine hears of it rather than guess."""
    async with listening() as link, peer_of(link) as peer:
        peer.say(introduced(link))
        peer.writer.write(LENGTH.pack(3) + b"\xc1\xc1\xc1")
        await link.connected()
        with pytest.raises(NoMessageError):
            await link.receive()


async def test_nobody_is_left_connected_when_the_block_ends() -> None:
    """Neither the peer nor somebody who has said nothing yet."""
    async with listening() as link, peer_of(link) as silent:
        await silent.writer.drain()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", link.port)
    async with listening() as link, peer_of(link) as peer:
        peer.say(introduced(link))
        await link.connected()
    assert link.port


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (HELLO, None),
        (replace(HELLO, worker="w1", version="0.0.1"), "the worker w1 has oversell 0.0.1"),
        (replace(HELLO, protocol=PROTOCOL + 1), f"the Locust process speaks protocol {PROTOCOL + 1}"),
    ],
)
def test_other_versions_are_refused_by_name(hello: Hello, reason: str | None) -> None:
    """Half a history in another version proves nothing."""
    found = refusal(hello)
    assert found is None if reason is None else found is not None and found.startswith(reason)
