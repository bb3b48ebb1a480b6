"""Framers: fed at any split, lied to, and given noise, they parse, wait or raise ProtocolError."""

from __future__ import annotations

import itertools
import struct

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.postgres import Server
from harness.wire import messages as m
from harness.wire.framing import (
    CANCEL_REQUEST,
    MAX_STARTUP,
    SSL_REQUEST,
    Frame,
    Framer,
    Handling,
    OpeningFramer,
    ProtocolError,
    Side,
    handle,
)
from harness.wire.schedule import BACKEND, FRONTEND
from harness.wire.session import PASS_BACKEND, PASS_FRONTEND
from tests.wire.support import Tap

SCHEDULED = {Side.FRONTEND: FRONTEND, Side.BACKEND: BACKEND}
PASSING = {Side.FRONTEND: PASS_FRONTEND, Side.BACKEND: PASS_BACKEND}
sides = st.sampled_from(Side)
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest_asyncio.fixture(scope="module")
async def conversation(server: Server) -> dict[Side, bytes]:
    """What a real client and a real server said to each other after the startup packet."""
    tap = Tap()
    async with (
        server.empty("recorded") as url,
        tap.between(url) as through,
        await psycopg.AsyncConnection.connect(through, autocommit=True) as connection,
    ):
        await connection.execute("CREATE TABLE stock (id int PRIMARY KEY, note text)")
        async with connection.pipeline():
            for number in range(5):
                await connection.execute("INSERT INTO stock VALUES (%s, %s)", [number, "n" * 3000])
        async with connection.cursor().copy("COPY stock FROM STDIN") as copy:
            await copy.write_row((99, "copied"))
        async with connection.cursor().copy("COPY stock TO STDOUT") as copy:
            async for _ in copy:
                pass
        await connection.execute("LISTEN news")
        await connection.execute("NOTIFY news, 'hello'")
        with pytest.raises(psycopg.Error):
            await connection.execute("SELECT * FROM nowhere")
    (length,) = struct.unpack_from("!I", tap.sent)
    return {Side.FRONTEND: bytes(tap.sent[length:]), Side.BACKEND: bytes(tap.received)}


def _feed(framer: Framer, data: bytes, cuts: list[int]) -> list[Frame]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    return [frame for piece in pieces for frame in framer.feed(piece)]


@pytest.mark.parametrize("side", Side)
def test_a_real_conversation_is_the_same_byte_by_byte(conversation: dict[Side, bytes], side: Side) -> None:
    """Fed whole or one byte at a time, a conversation comes out as the bytes and messages that went in."""
    data = conversation[side]
    whole = Framer(side, SCHEDULED[side]).feed(data)
    framer = Framer(side, SCHEDULED[side])
    single = [frame for byte in data for frame in framer.feed(bytes([byte]))]
    assert b"".join(frame.data for frame in whole) == b"".join(frame.data for frame in single) == data
    assert framer.at_boundary
    assert [frame.kind for frame in whole] == [frame.kind for frame in single if frame.first]
    assert len(whole) > 20


@reuse
@given(side=sides, cuts=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_where_a_conversation_is_cut_does_not_matter(
    conversation: dict[Side, bytes], side: Side, cuts: list[int]
) -> None:
    """At any split the same messages come out, in pass-through and under a schedule."""
    data = conversation[side]
    for tables in (SCHEDULED, PASSING):
        whole = Framer(side, tables[side]).feed(data)
        cut = _feed(Framer(side, tables[side]), data, cuts)
        assert [frame.kind for frame in cut if frame.first] == [frame.kind for frame in whole]
    assert b"".join(frame.data for frame in _feed(Framer(side, SCHEDULED[side]), data, cuts)) == data


@reuse
@given(
    side=sides,
    position=st.integers(0, 1 << 20),
    value=st.binary(min_size=1, max_size=4),
    cut=st.integers(0, 9999),
)
def test_a_damaged_conversation_is_parsed_waited_for_or_refused(
    conversation: dict[Side, bytes], side: Side, position: int, value: bytes, cut: int
) -> None:
    """Bytes overwritten anywhere, lengths among them, never cause anything but a ProtocolError."""
    data = bytearray(conversation[side])
    at = position % len(data)
    data[at : at + len(value)] = value
    for tables in (SCHEDULED, PASSING):
        framer = Framer(side, tables[side])
        try:
            frames = _feed(framer, bytes(data), [cut])
            if tables is SCHEDULED:
                assert bytes(data).startswith(b"".join(frame.data for frame in frames))
                for frame in frames:
                    m.decode(side, frame) if frame.first and frame.last else None
        except ProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017  # either way of ending is right


@given(side=sides, parts=st.lists(st.binary(max_size=40), max_size=6))
def test_noise_is_waited_for_or_refused(side: Side, parts: list[bytes]) -> None:
    """Random bytes never cause anything but a ProtocolError."""
    framer = Framer(side, SCHEDULED[side])
    opening = OpeningFramer()
    for framing in (framer.feed, opening.feed):
        try:
            for part in parts:
                framing(part)
        except ProtocolError as error:
            assert str(error).endswith(".")  # noqa: PT017  # either way of ending is right


@pytest.mark.parametrize("length", [0, 3, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("kind", [b"Q", b"S"])
def test_a_length_that_cannot_be_true_is_refused(length: int, kind: bytes) -> None:
    """Shorter than itself or longer than Postgres allows: one sentence says which message claimed what."""
    with pytest.raises(ProtocolError, match=rf"client sent a message of type '{kind.decode()}'.*{length}"):
        Framer(Side.FRONTEND, FRONTEND).feed(kind + struct.pack("!I", length))


def test_a_small_message_may_not_claim_to_be_large() -> None:
    """A Sync of a megabyte is refused before anything of it is kept."""
    with pytest.raises(ProtocolError, match="1000000"):
        Framer(Side.FRONTEND, FRONTEND).feed(b"S" + struct.pack("!I", 1_000_000))


def test_an_unknown_type_is_refused_at_its_first_byte() -> None:
    """Nothing is waited for when the type alone shows that this is not the protocol."""
    with pytest.raises(ProtocolError, match="unknown type b'G'"):
        Framer(Side.FRONTEND, FRONTEND).feed(b"G")


def test_a_huge_row_is_not_kept() -> None:
    """Rows travel in the parts they arrive in; in pass-through they leave no trace at all."""
    streamed, skipped = Framer(Side.BACKEND, BACKEND), Framer(Side.BACKEND, PASS_BACKEND)
    part = b"x" * 1_000_000
    frames = []
    for piece in [b"D" + struct.pack("!I", 50_000_004), *[part] * 50]:
        frames += streamed.feed(piece)
        assert skipped.feed(piece) == []
        assert streamed.buffered <= 5
        assert skipped.buffered <= 5
    assert [frame.first for frame in frames] == [True] + [False] * (len(frames) - 1)
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert sum(len(frame.data) for frame in frames) == 50_000_005
    assert streamed.at_boundary
    assert skipped.at_boundary


def test_the_table_changes_between_messages_only() -> None:
    """Half-way through a message a framer refuses to work differently."""
    framer = Framer(Side.BACKEND, BACKEND)
    framer.feed(b"Z\0\0")
    with pytest.raises(RuntimeError):
        framer.handle_by(handle(Side.BACKEND, Handling.SKIP))


def test_opening_packets_come_one_after_another() -> None:
    """An SSLRequest, then a startup packet, byte by byte; what follows stays for others."""
    startup = m.Startup({"user": "me", "database": "it"}).encode()
    framer = OpeningFramer()
    packets = []
    for byte in struct.pack("!II", 8, SSL_REQUEST) + startup + b"Q":
        packet = framer.feed(bytes([byte]))
        packets += [packet] if packet else []
    assert [packet.code for packet in packets] == [SSL_REQUEST, 196608]
    assert m.Startup.decode(packets[1]).parameters == {"user": "me", "database": "it"}
    assert framer.rest() == b"Q"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "does not speak the Postgres protocol"),
        (b"\x16\x03\x01\x02\x00", "sslnegotiation=direct"),
        (struct.pack("!II", 8, 2 << 16), "protocol 2.0"),
        (struct.pack("!II", MAX_STARTUP + 1, 196608), "does not speak"),
        (struct.pack("!II", 7, 196608), "does not speak"),
        (struct.pack("!III", 12, SSL_REQUEST, 0), "request for encryption of 12 bytes"),
        (struct.pack("!II", 8, CANCEL_REQUEST), "cancel request of 8 bytes"),
    ],
)
def test_an_opening_that_is_none_is_refused(data: bytes, message: str) -> None:
    """Another protocol, another version and lengths that lie are told apart in one sentence."""
    with pytest.raises(ProtocolError, match=message):
        OpeningFramer().feed(data)
