"""Cutting the byte streams of the Postgres protocol into messages, in both directions, without I/O.

A typed message is one byte of type, four bytes of length (counting themselves, not the type) and a body.
The packets that open a connection carry no type byte; :class:`OpeningFramer` cuts those. (The single byte
that answers an SSLRequest never has to be read here: the proxy answers it and never sends one.)

A :class:`Framer` does as little as its table of :class:`Handling` allows. In pass-through the proxy has
already forwarded the bytes when it feeds them, so the framer walks from header to header, allocates nothing
for rows and COPY data, and keeps at most a partial header. Under scheduling it hands over whole messages,
except for rows and COPY data, which travel in the parts they arrived in.

Frames put together again in order are the bytes that came in, where nothing is skipped or only noted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import InconclusiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_STARTUP = 10_000
"""Longest packet before authentication, in bytes, as Postgres itself has it."""
MAX_SMALL = 10_000
"""Longest message of a type that carries no more than names."""
MAX_LARGE = 0x3FFF_FFFF
"""Longest message of any type: what Postgres can allocate."""

PROTOCOL_3_0 = 196608
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102

_LENGTH = struct.Struct("!I")
_HEAD = struct.Struct("!BI")
_STARTUP = struct.Struct("!II")
_HEADER = 5


class ProtocolError(InconclusiveError):
    """A peer broke the Postgres protocol, or does not speak it; its connection cannot be understood."""


class Side(StrEnum):
    """Who sent a message."""

    FRONTEND = "client"
    BACKEND = "server"


class Handling(Enum):
    """What a framer does with messages of one type."""

    SKIP = auto()
    """Nothing: walk on to the next header."""
    NOTE = auto()
    """Say that one began, without its bytes."""
    WHOLE = auto()
    """Hand it over in one piece."""
    STREAM = auto()
    """Hand it over in the parts it arrives in."""


class Frame(NamedTuple):
    """One message, or one part of a streamed message, as the bytes that came in."""

    kind: int
    data: bytes
    """Header and body; for a later part of a streamed message the bytes that follow; empty when noted."""
    first: bool = True
    last: bool = True

    @property
    def body(self) -> bytes:
        """The message without type and length."""
        return self.data[_HEADER:]


FRONTEND_LIMITS: Mapping[int, int] = {
    **dict.fromkeys(b"BFPQd", MAX_LARGE),
    **dict.fromkeys(b"CDEHSXcf", MAX_SMALL),
    **dict.fromkeys(b"p", 65_535),
}
"""Every message type a client may send, with the greatest length it may claim."""
BACKEND_LIMITS: Mapping[int, int] = {
    **dict.fromkeys(b"ADEGHNRSTVWdtv", MAX_LARGE),
    **dict.fromkeys(b"CK", MAX_SMALL),
    **dict.fromkeys(b"123Icns", 4),
    **dict.fromkeys(b"Z", 5),
}
"""Every message type a server may send, with the greatest length it may claim."""
_LIMITS = {Side.FRONTEND: FRONTEND_LIMITS, Side.BACKEND: BACKEND_LIMITS}


def handle(side: Side, default: Handling, **chosen: Iterable[int]) -> dict[int, Handling]:
    """Return a table for every type of a side: ``default``, except for the types listed by handling name.

    ``handle(Side.FRONTEND, Handling.WHOLE, STREAM=b"d")`` streams COPY data and hands over the rest whole.
    """
    table = dict.fromkeys(_LIMITS[side], default)
    for name, kinds in chosen.items():
        table.update(dict.fromkeys(kinds, Handling[name]))
    return table


# Looked up once here, since the loop below is what a free proxy spends its time in.
_SKIP, _NOTE, _WHOLE, _STREAM = Handling.SKIP, Handling.NOTE, Handling.WHOLE, Handling.STREAM
_UNKNOWN = (_SKIP, -1, Frame(0, b""))


@lru_cache(maxsize=32)
def _entries(side: Side, table: tuple[tuple[int, Handling], ...]) -> dict[int, tuple[Handling, int, Frame]]:
    return {kind: (handling, _LIMITS[side][kind], Frame(kind, b"")) for kind, handling in table}


def _compiled(side: Side, table: Mapping[int, Handling]) -> dict[int, tuple[Handling, int, Frame]]:
    """Return what the loop needs of each type: what to do, the greatest length, the frame of a note."""
    return _entries(side, tuple(table.items()))


class Framer:
    """Cuts the typed messages of one side out of its byte stream, however it is split."""

    __slots__ = ("_buffer", "_limits", "_need", "_rest", "_side", "_streaming", "_table", "last")

    def __init__(self, side: Side, table: Mapping[int, Handling]) -> None:
        self._side = side
        self._limits = _LIMITS[side]
        self._table = _compiled(side, table)
        self._buffer = bytearray()
        self._need = 0
        self._rest = 0
        self._streaming = 0
        self.last = 0
        """The type of the last message that began; 0 before the first."""

    @property
    def at_boundary(self) -> bool:
        """Whether no message is half-way through."""
        return not self._rest and not self._buffer

    @property
    def buffered(self) -> int:
        """Bytes kept because their message is not complete."""
        return len(self._buffer)

    def handle_by(self, table: Mapping[int, Handling]) -> None:
        """Go on with another table. Only between messages.

        :raises RuntimeError: in the middle of a message.
        """
        if not self.at_boundary:
            raise RuntimeError("a framer changes its table between messages only")
        self._table = _compiled(self._side, table)

    def feed(self, data: bytes) -> list[Frame]:
        """Take in bytes and return the frames they complete, in order.

        :raises ProtocolError: when a type is unknown or a length cannot be true.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        frames: list[Frame] = []
        position = self._continue(data, frames) if self._rest else 0
        self._walk(data, position, frames)
        return frames

    def _continue(self, data: bytes, frames: list[Frame]) -> int:
        """Take the rest of a message that began in an earlier feed, and return where it ends."""
        taken = min(self._rest, len(data))
        self._rest -= taken
        if self._streaming and taken:
            frames.append(Frame(self._streaming, data[:taken], first=False, last=not self._rest))
        return taken

    def _walk(self, data: bytes, position: int, frames: list[Frame]) -> None:
        """Go from header to header. The one loop that every byte of a pass-through pays for."""
        end, find, unpack = len(data), self._table.get, _HEAD.unpack_from
        kind = self.last
        while end - position >= _HEADER:
            kind, length = unpack(data, position)
            handling, limit, note = find(kind, _UNKNOWN)
            if length > limit or length < 4:
                raise self._lie(kind, length)
            stop = position + 1 + length
            if handling is _SKIP and stop <= end:
                position = stop
                continue
            if handling is _WHOLE and stop > end:
                self._keep(data[position:], stop - position)
                break
            if handling is _NOTE:
                frames.append(note)
            elif handling is not _SKIP:
                frames.append(Frame(kind, data[position:stop], last=stop <= end))
            if stop > end:
                self._rest = stop - end
                self._streaming = kind if handling is _STREAM else 0
                break
            position = stop
        else:
            if position < end:
                self._keep(data[position:], _HEADER)
                if data[position] not in self._limits:
                    raise self._lie(data[position], None)
        self.last = kind

    def _keep(self, part: bytes, need: int) -> None:
        self._buffer += part
        self._need = need

    def _lie(self, kind: int, length: int | None) -> ProtocolError:
        if kind not in self._limits:
            return ProtocolError(
                f"The {self._side.value} sent a message of unknown type {bytes([kind])!r}: "
                "not the Postgres protocol."
            )
        return ProtocolError(
            f"The {self._side.value} sent a message of type {chr(kind)!r} that claims {length} bytes; "
            f"between 4 and {self._limits[kind]} are possible."
        )


@dataclass(frozen=True, slots=True)
class Opening:
    """A packet without a type byte, as a client sends it before authentication."""

    code: int
    """The protocol version, or one of the request codes above."""
    data: bytes
    """The whole packet, length included."""


class OpeningFramer:
    """Cuts the packets that open a connection out of a client's byte stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Opening | None:
        """Take in bytes and return the next packet when it is complete.

        :raises ProtocolError: when its length or its code cannot be true.
        """
        self._buffer += data
        if len(self._buffer) < 4:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if not 8 <= length <= MAX_STARTUP:
            raise self._no_postgres()
        if len(self._buffer) < length:
            self._check_code()
            return None
        self._check_code()
        packet = bytes(self._buffer[:length])
        del self._buffer[:length]
        return Opening(_STARTUP.unpack_from(packet)[1], packet)

    def keep(self, data: bytes) -> None:
        """Take in bytes that nobody is ready to look at."""
        self._buffer += data

    def rest(self) -> bytes:
        """Return, and forget, the bytes that followed the last packet."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _check_code(self) -> None:
        if len(self._buffer) < 8:
            return
        length, code = _STARTUP.unpack_from(self._buffer)
        exact = {SSL_REQUEST: 8, GSSENC_REQUEST: 8}
        if code in exact and length != exact[code]:
            raise ProtocolError(f"The client sent a request for encryption of {length} bytes; it has 8.")
        if code == CANCEL_REQUEST and length < 16:
            raise ProtocolError(f"The client sent a cancel request of {length} bytes; it has at least 16.")
        if code not in exact and code != CANCEL_REQUEST and code >> 16 != PROTOCOL_3_0 >> 16:
            raise ProtocolError(
                f"The client asked for protocol {code >> 16}.{code & 0xFFFF}; only version 3 is spoken here."
            )

    def _no_postgres(self) -> ProtocolError:
        if self._buffer[0] == 0x16:
            return ProtocolError(
                "The client began with TLS at once (sslnegotiation=direct); set sslnegotiation=postgres "
                "or sslmode=disable."
            )
        start = bytes(self._buffer[:8])
        return ProtocolError(f"The client does not speak the Postgres protocol: it began with {start!r}.")
