"""Decodes what the output plugin ``pgoutput`` says of committed transactions. Does no I/O.

Protocol version 1, text values, as described in the PostgreSQL documentation ("Logical Replication Message
Formats"): transactions arrive whole, in the order of their commits. A :class:`Decoder` is fed one message
after the other and returns a :class:`Transaction` with every commit. Tables and columns that nobody asked for
are skipped, since a reader that is slower than the writers never catches up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from struct import Struct
from struct import error as StructError  # noqa: N812  # it is an exception class
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOL_VERSION = 1
_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, which is where Postgres starts counting."""

_BEGIN = Struct("!QqI")
_COMMIT = Struct("!BQQq")
_RELATION = Struct("!I")
_COLUMN = Struct("!Ii")
_COUNT = Struct("!H")
_LENGTH = Struct("!I")
_TRUNCATE = Struct("!IB")

Row: TypeAlias = "tuple[str | None, ...]"
"""The columns that were asked for, in that order, as Postgres writes them."""


class ChangeKind(StrEnum):
    """What became of a row."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"
    """All rows of the table are gone."""


class Change(NamedTuple):
    """One row that a transaction changed."""

    kind: ChangeKind
    table: str
    """As ``schema.table``."""
    old: Row | None
    """The row before, for an update or a delete of a table whose replica identity is FULL."""
    new: Row | None


class Transaction(NamedTuple):
    """One committed transaction, with what it changed in the tables that were asked for."""

    xid: int
    committed: int
    """When it was committed: microseconds since 1970, by the server's clock."""
    end: int
    """The position in the log after it."""
    changes: tuple[Change, ...]


class MalformedError(ValueError):
    """A message that is none of protocol version 1: another version of Postgres, or another plugin."""


@dataclass(frozen=True, slots=True)
class _Relation:
    """A table as the log describes it, with where the columns that were asked for stand."""

    table: str
    places: tuple[int, ...]
    """For each column of the table: its place in the row that is given out; -1 when it is not."""
    width: int


@dataclass(slots=True)
class Decoder:
    """Turns messages into transactions. Keeps what it was told of the tables."""

    wanted: Mapping[str, Sequence[str]]
    """Columns by table (``schema.table``)."""
    _relations: dict[int, _Relation | None] = field(default_factory=dict)
    """By oid; ``None`` for tables nobody asked for."""
    _changes: list[Change] = field(default_factory=list)
    _xid: int = 0

    def feed(self, message: bytes) -> Transaction | None:
        """Take the next message, and return the transaction that it completes, if it does.

        :raises MalformedError: when it cannot be understood.
        """
        try:
            return self._take(message)
        except (ValueError, LookupError, StructError) as error:
            raise MalformedError(f"no message of pgoutput version {PROTOCOL_VERSION}: {error}") from error

    def _take(self, message: bytes) -> Transaction | None:
        match message[0]:
            case 0x49 | 0x55 | 0x44:  # I, U, D
                self._row(message)
            case 0x42:  # B
                _, _, self._xid = _BEGIN.unpack_from(message, 1)
                self._changes = []
            case 0x43:  # C
                _, _, end, committed = _COMMIT.unpack_from(message, 1)
                return Transaction(self._xid, committed + _EPOCH, end, tuple(self._changes))
            case 0x52:  # R
                self._describe(message)
            case 0x54:  # T
                self._truncate(message)
            case 0x59 | 0x4F | 0x4D:  # Y, O, M: types, origins, messages
                pass
            case other:
                raise ValueError(f"unknown kind {chr(other)!r}")
        return None

    def _describe(self, message: bytes) -> None:
        (oid,) = _RELATION.unpack_from(message, 1)
        schema, at = _text(message, 5)
        name, at = _text(message, at)
        (count,) = _COUNT.unpack_from(message, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            column, at = _text(message, at + 1)
            at += _COLUMN.size
            columns.append(column)
        table = f"{schema or 'pg_catalog'}.{name}"
        wanted = self.wanted.get(table)
        if wanted is None:
            self._relations[oid] = None
            return
        missing = [column for column in wanted if column not in columns]
        if missing:
            raise ValueError(f"{table} has no column {', '.join(missing)} (any more)")
        places = tuple(wanted.index(column) if column in wanted else -1 for column in columns)
        self._relations[oid] = _Relation(table, places, len(wanted))

    def _row(self, message: bytes) -> None:
        (oid,) = _RELATION.unpack_from(message, 1)
        relation = self._relations[oid]
        if relation is None:
            return
        old: Row | None = None
        at, tag = 6, message[5]
        if tag in (0x4B, 0x4F):  # K: only the key; O: the whole row
            old, at = _tuple(message, at, relation, None)
            if tag == 0x4B:
                old = None
            tag = message[at] if at < len(message) else 0
            at += 1
        new: Row | None = None
        if tag == 0x4E:  # N
            new, at = _tuple(message, at, relation, old)
        self._changes.append(Change(_KINDS[message[0]], relation.table, old, new))

    def _truncate(self, message: bytes) -> None:
        count, _ = _TRUNCATE.unpack_from(message, 1)
        for place in range(count):
            (oid,) = _RELATION.unpack_from(message, 6 + 4 * place)
            relation = self._relations[oid]
            if relation is not None:
                self._changes.append(Change(ChangeKind.TRUNCATE, relation.table, None, None))


_KINDS = {0x49: ChangeKind.INSERT, 0x55: ChangeKind.UPDATE, 0x44: ChangeKind.DELETE}


def _text(message: bytes, at: int) -> tuple[str, int]:
    """Read a string that ends with a zero byte."""
    end = message.index(0, at)
    return message[at:end].decode(), end + 1


def _tuple(message: bytes, at: int, relation: _Relation, old: Row | None) -> tuple[Row, int]:
    """Read a row; what was too large to be written again is what it was.

    Most of the time that an audit takes is spent here.
    """
    places = relation.places
    if (count := message[at] << 8 | message[at + 1]) != len(places):
        raise ValueError(f"a row of {relation.table} has {count} columns instead of {len(places)}")
    at += 2
    row: list[str | None] = [None] * relation.width
    for place in places:
        kind = message[at]
        at += 1
        if kind == 0x74:  # t
            length = message[at + 3]
            if message[at + 2] or message[at + 1] or message[at]:
                (length,) = _LENGTH.unpack_from(message, at)
            at += 4
            if place >= 0:
                row[place] = message[at : at + length].decode()
            at += length
        elif kind == 0x75:  # u
            if place >= 0 and old is not None:
                row[place] = old[place]
        elif kind != 0x6E:  # n
            raise ValueError(f"unknown kind of value {chr(kind)!r}")
    if at > len(message):
        raise ValueError("a value ends too early")
    return tuple(row), at
