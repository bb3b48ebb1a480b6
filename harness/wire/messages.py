"""The messages of the Postgres protocol that scheduling looks into or makes, as frozen data.

Each class has ``KIND`` (its type byte), ``decode(body)`` and ``encode()``; decoding and encoding again gives
the same bytes. Nothing is decoded until somebody asks: frames travel as bytes, and :func:`decode` is
called only where a field is needed. Text is UTF-8; bytes that are not survive the round trip.
"""

# ruff: noqa: D102  # decode() and body() are documented once, on _Message

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from harness.wire.framing import CANCEL_REQUEST, PROTOCOL_3_0, Opening, ProtocolError, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from harness.wire.framing import Frame

_INT16 = struct.Struct("!h")
_INT32 = struct.Struct("!i")
_UINT32 = struct.Struct("!I")


class _Reader:
    """Takes fields off a message body; running out of bytes is a :class:`ProtocolError`."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def text(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolError("A message ends in the middle of a string.")
        raw, self._at = self._body[self._at : end], end + 1
        return raw.decode(errors="surrogateescape")

    def take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._body):
            raise ProtocolError("A message is shorter than its fields.")
        raw, self._at = self._body[self._at : self._at + size], self._at + size
        return raw

    def int16(self) -> int:
        return int(_INT16.unpack(self.take(2))[0])

    def int32(self) -> int:
        return int(_INT32.unpack(self.take(4))[0])

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)

    def int16s(self) -> tuple[int, ...]:
        return tuple(self.int16() for _ in range(self.int16()))

    def value(self) -> bytes | None:
        size = self.int32()
        return None if size == -1 else self.take(size)


def _text(value: str) -> bytes:
    return value.encode(errors="surrogateescape") + b"\0"


def _value(value: bytes | None) -> bytes:
    return _INT32.pack(-1) if value is None else _INT32.pack(len(value)) + value


def _int16s(values: tuple[int, ...]) -> bytes:
    return _INT16.pack(len(values)) + b"".join(map(_INT16.pack, values))


def pack(kind: int, body: bytes = b"") -> bytes:
    """Return a typed message: type, length and body."""
    return bytes((kind,)) + _UINT32.pack(len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class _Message:
    """What every message below can do. Those without fields need nothing more."""

    KIND: ClassVar[int]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return the message with this body.

        :raises ProtocolError: when the body does not have the fields of its type.
        """
        del body
        return cls()

    def body(self) -> bytes:
        """Return the fields as bytes."""
        return b""

    def encode(self) -> bytes:
        """Return the whole message as bytes."""
        return pack(self.KIND, self.body())


@dataclass(frozen=True, slots=True)
class _Raw(_Message):
    """A message whose body is taken as it is."""

    data: bytes = b""

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(body)

    def body(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class _Text(_Message):
    """A message that is one string."""

    text: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        return cls(_Reader(body).text())

    def body(self) -> bytes:
        return _text(self.text)


@dataclass(frozen=True, slots=True)
class _Named(_Message):
    """A message about a prepared statement (``what`` is ``S``) or a portal (``P``)."""

    what: str
    name: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        what = reader.take(1).decode("latin-1")
        if what not in "SP":
            raise ProtocolError(f"A message is about {what!r}; it can be about a statement or a portal.")
        return cls(what, reader.text())

    def body(self) -> bytes:
        return self.what.encode() + _text(self.name)


# Client to server.


@dataclass(frozen=True, slots=True)
class Startup:
    """The packet that opens a session. It has no type byte."""

    parameters: Mapping[str, str]
    version: int = PROTOCOL_3_0

    @classmethod
    def decode(cls, packet: Opening) -> Self:
        """Return the parameters of a startup packet, in its order.

        :raises ProtocolError: when they are not pairs of strings.
        """
        reader = _Reader(packet.data[8:])
        parameters: dict[str, str] = {}
        while name := reader.text():
            parameters[name] = reader.text()
        return cls(parameters, packet.code)

    def encode(self) -> bytes:
        """Return the packet as bytes."""
        pairs = b"".join(_text(name) + _text(value) for name, value in self.parameters.items())
        body = _UINT32.pack(self.version) + pairs + b"\0"
        return _UINT32.pack(len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class Cancel:
    """The packet that asks to cancel what another session runs. It has no type byte."""

    pid: int
    secret: bytes

    def encode(self) -> bytes:
        """Return the packet as bytes."""
        body = _UINT32.pack(CANCEL_REQUEST) + _UINT32.pack(self.pid) + self.secret
        return _UINT32.pack(len(body) + 4) + body


@dataclass(frozen=True, slots=True)
class Query(_Text):
    """SQL text, with any number of statements."""

    KIND = ord("Q")


@dataclass(frozen=True, slots=True)
class Parse(_Message):
    """Prepare one statement."""

    KIND = ord("P")
    name: str
    sql: str
    types: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.text(), reader.text(), tuple(reader.int32() for _ in range(reader.int16())))

    def body(self) -> bytes:
        types = b"".join(map(_INT32.pack, self.types))
        return _text(self.name) + _text(self.sql) + _INT16.pack(len(self.types)) + types


@dataclass(frozen=True, slots=True)
class Bind(_Message):
    """Make a portal of a prepared statement and values."""

    KIND = ord("B")
    portal: str
    statement: str
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        portal, statement, formats = reader.text(), reader.text(), reader.int16s()
        values = tuple(reader.value() for _ in range(reader.int16()))
        return cls(portal, statement, formats, values, reader.int16s())

    @staticmethod
    def names(body: bytes) -> tuple[str, str]:
        """Return portal and statement without looking at the values, which may be large."""
        head = body[:200]
        reader = _Reader(head if head.count(b"\0") >= 2 else body)
        return reader.text(), reader.text()

    def body(self) -> bytes:
        values = _INT16.pack(len(self.values)) + b"".join(map(_value, self.values))
        names = _text(self.portal) + _text(self.statement)
        return names + _int16s(self.formats) + values + _int16s(self.result_formats)


@dataclass(frozen=True, slots=True)
class Describe(_Named):
    """Ask what a statement or portal takes and gives."""

    KIND = ord("D")


@dataclass(frozen=True, slots=True)
class Execute(_Message):
    """Run a portal, to its end or up to a number of rows."""

    KIND = ord("E")
    portal: str = ""
    rows: int = 0

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.text(), reader.int32())

    def body(self) -> bytes:
        return _text(self.portal) + _INT32.pack(self.rows)


@dataclass(frozen=True, slots=True)
class Close(_Named):
    """Forget a statement or portal."""

    KIND = ord("C")


@dataclass(frozen=True, slots=True)
class Flush(_Message):
    """Ask for the answers so far."""

    KIND = ord("H")


@dataclass(frozen=True, slots=True)
class Sync(_Message):
    """End a pipeline: commits the implicit transaction and asks for ReadyForQuery."""

    KIND = ord("S")


@dataclass(frozen=True, slots=True)
class Terminate(_Message):
    """Leave."""

    KIND = ord("X")


@dataclass(frozen=True, slots=True)
class FunctionCall(_Raw):
    """Call a function by its OID (an old sub-protocol, still spoken by libpq's large objects)."""

    KIND = ord("F")


@dataclass(frozen=True, slots=True)
class Password(_Raw):
    """An answer to an authentication request, whichever it was."""

    KIND = ord("p")


@dataclass(frozen=True, slots=True)
class CopyFail(_Text):
    """Give up sending COPY data."""

    KIND = ord("f")


# Both ways.


@dataclass(frozen=True, slots=True)
class CopyData(_Raw):
    """A piece of COPY data."""

    KIND = ord("d")


@dataclass(frozen=True, slots=True)
class CopyDone(_Message):
    """The end of COPY data."""

    KIND = ord("c")


# Server to client.


@dataclass(frozen=True, slots=True)
class Authentication(_Message):
    """A request for authentication, or the news that it is done (``code`` 0)."""

    KIND = ord("R")
    code: int
    data: bytes = b""

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.int32(), reader.rest())

    def body(self) -> bytes:
        return _INT32.pack(self.code) + self.data


@dataclass(frozen=True, slots=True)
class BackendKeyData(_Message):
    """The process that serves the session, and the secret that cancels what it runs."""

    KIND = ord("K")
    pid: int
    secret: bytes

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.int32(), reader.rest())

    def body(self) -> bytes:
        return _INT32.pack(self.pid) + self.secret


@dataclass(frozen=True, slots=True)
class ParameterStatus(_Message):
    """A setting the client should know."""

    KIND = ord("S")
    name: str
    value: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.text(), reader.text())

    def body(self) -> bytes:
        return _text(self.name) + _text(self.value)


@dataclass(frozen=True, slots=True)
class ReadyForQuery(_Message):
    """The end of a query or pipeline, with the transaction status: ``I``, ``T`` or ``E``."""

    KIND = ord("Z")
    status: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        status = body.decode("latin-1")
        if status not in ("I", "T", "E"):
            raise ProtocolError(f"The server is ready with transaction status {status!r}.")
        return cls(status)

    def body(self) -> bytes:
        return self.status.encode()


@dataclass(frozen=True, slots=True)
class CommandComplete(_Text):
    """A statement ended well; ``text`` is its command tag."""

    KIND = ord("C")


@dataclass(frozen=True, slots=True)
class _Fields(_Message):
    """A report in fields, each under a letter, in the server's order."""

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        fields = []
        while (letter := reader.take(1)) != b"\0":
            fields.append((letter.decode("latin-1"), reader.text()))
        return cls(tuple(fields))

    def body(self) -> bytes:
        return b"".join(letter.encode("latin-1") + _text(text) for letter, text in self.fields) + b"\0"

    def field(self, letter: str) -> str:
        """Return a field, empty when it was not sent."""
        return dict(self.fields).get(letter, "")

    @property
    def sqlstate(self) -> str:
        """The five characters that say what happened."""
        return self.field("C")

    @property
    def message(self) -> str:
        """What happened, in the server's words."""
        return self.field("M")


@dataclass(frozen=True, slots=True)
class ErrorResponse(_Fields):
    """Something failed."""

    KIND = ord("E")

    @classmethod
    def make(cls, sqlstate: str, message: str, severity: str = "ERROR") -> Self:
        """Return an error as Postgres would report it."""
        return cls((("S", severity), ("V", severity), ("C", sqlstate), ("M", message)))


@dataclass(frozen=True, slots=True)
class NoticeResponse(_Fields):
    """Something a person might want to know."""

    KIND = ord("N")


@dataclass(frozen=True, slots=True)
class NotificationResponse(_Message):
    """A NOTIFY of some session."""

    KIND = ord("A")
    pid: int
    channel: str
    payload: str

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(reader.int32(), reader.text(), reader.text())

    def body(self) -> bytes:
        return _INT32.pack(self.pid) + _text(self.channel) + _text(self.payload)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a row description."""

    name: str
    table: int
    number: int
    type: int
    size: int
    modifier: int
    format: int


_COLUMN = struct.Struct("!ihihih")


@dataclass(frozen=True, slots=True)
class RowDescription(_Message):
    """The columns of the rows to come."""

    KIND = ord("T")
    columns: tuple[Column, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        columns = []
        for _ in range(reader.int16()):
            name = reader.text()
            columns.append(Column(name, *_COLUMN.unpack(reader.take(_COLUMN.size))))
        return cls(tuple(columns))

    def body(self) -> bytes:
        return _INT16.pack(len(self.columns)) + b"".join(
            _text(c.name) + _COLUMN.pack(c.table, c.number, c.type, c.size, c.modifier, c.format)
            for c in self.columns
        )


@dataclass(frozen=True, slots=True)
class DataRow(_Message):
    """One row."""

    KIND = ord("D")
    values: tuple[bytes | None, ...]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        reader = _Reader(body)
        return cls(tuple(reader.value() for _ in range(reader.int16())))

    def body(self) -> bytes:
        return _INT16.pack(len(self.values)) + b"".join(map(_value, self.values))


@dataclass(frozen=True, slots=True)
class ParseComplete(_Message):
    """A statement was prepared."""

    KIND = ord("1")


@dataclass(frozen=True, slots=True)
class BindComplete(_Message):
    """A portal was made."""

    KIND = ord("2")


@dataclass(frozen=True, slots=True)
class CloseComplete(_Message):
    """A statement or portal was forgotten."""

    KIND = ord("3")


@dataclass(frozen=True, slots=True)
class NoData(_Message):
    """What was described gives no rows."""

    KIND = ord("n")


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(_Message):
    """The SQL text held no statement."""

    KIND = ord("I")


@dataclass(frozen=True, slots=True)
class PortalSuspended(_Message):
    """An Execute reached its number of rows before the end."""

    KIND = ord("s")


@dataclass(frozen=True, slots=True)
class CopyInResponse(_Raw):
    """The server waits for COPY data."""

    KIND = ord("G")


@dataclass(frozen=True, slots=True)
class CopyOutResponse(_Raw):
    """COPY data follows."""

    KIND = ord("H")


@dataclass(frozen=True, slots=True)
class CopyBothResponse(_Raw):
    """COPY data flows both ways (replication)."""

    KIND = ord("W")


Message: TypeAlias = _Message
"""Any typed message."""

_FRONTEND = (
    Query, Parse, Bind, Describe, Execute, Close, Flush, Sync, Terminate, FunctionCall, Password, CopyFail,
    CopyData, CopyDone,
)  # fmt: skip
_BACKEND = (
    Authentication, BackendKeyData, ParameterStatus, ReadyForQuery, CommandComplete, ErrorResponse,
    NoticeResponse, NotificationResponse, RowDescription, DataRow, ParseComplete, BindComplete,
    CloseComplete, NoData, EmptyQueryResponse, PortalSuspended, CopyInResponse, CopyOutResponse,
    CopyBothResponse, CopyData, CopyDone,
)  # fmt: skip
_CLASSES: dict[Side, dict[int, Callable[[bytes], Message]]] = {
    Side.FRONTEND: {message.KIND: message.decode for message in _FRONTEND},
    Side.BACKEND: {message.KIND: message.decode for message in _BACKEND},
}


def decode(side: Side, frame: Frame) -> Message | None:
    """Return the message in a whole frame; ``None`` for types that nothing here looks into.

    :raises ProtocolError: when the body does not have the fields of its type.
    """
    decoder = _CLASSES[side].get(frame.kind)
    return decoder(frame.body) if decoder else None
