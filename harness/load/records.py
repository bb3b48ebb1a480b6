"""Records: what a worker keeps of each operation, small enough to keep millions.

A payload of a chunk is MessagePack arrays, one after the other, each one record::

    [sale, client, kind, fields, outcome, rest, invoked, completed]

``kind`` and ``fields`` are the operation's kind and the values of its fields in the order of their
declaration, ``rest`` the answer's other fields likewise, or nothing when all are as declared. Times are
nanoseconds of the engine's monotonic clock; ``completed`` is nothing where no answer came.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgpack

from harness.model import Answer, Call, Outcome
from harness.model.operations import FEATURE_OF, Proof, Reserve, kind_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.model import Operation

_KINDS: dict[str, type[Operation]] = {kind_name(kind): kind for kind in FEATURE_OF}
_NAMES: dict[type[Operation], str] = {kind: name for name, kind in _KINDS.items()}
_FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(field.name for field in fields(kind)) for name, kind in _KINDS.items()
}
_VALUES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    name: attrgetter(*names) for name, names in _FIELDS.items()
}
_PLAIN = (None, None, None, (), "")
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_PLAIN_ANSWERS = {outcome.value: Answer(outcome) for outcome in Outcome}
_PROOFS = {proof.value: proof for proof in Proof}

_ARRAY = Struct(">BI")
"""How MessagePack begins a long array."""
_LENGTH = 8
"""Values of a record."""

Row: TypeAlias = tuple[Any, ...]
"""A record as it travels; see the module."""


class Record(NamedTuple):
    """One operation of the load."""

    sale: int
    client: str
    operation: Operation
    answer: Answer
    invoked: int
    completed: int | None


class NoRecordError(ValueError):
    """What came is no record: cut off, or of another version."""


def pack(record: Record) -> bytes:
    """Return a record as it travels."""
    kind = _NAMES[type(record.operation)]
    answer = record.answer
    rest = (answer.reservation, answer.remaining, answer.sold, answer.group, answer.detail)
    body: bytes = msgpack.packb(
        (
            record.sale,
            record.client,
            kind,
            _VALUES[kind](record.operation),
            answer.outcome.value,
            None if rest == _PLAIN else rest,
            record.invoked,
            record.completed,
        )
    )
    return body


def unpack(payload: bytes) -> Iterator[tuple[int, Call]]:
    """Yield sale and call of each record of a payload. Calls have no index and no phase yet.

    :raises NoRecordError: when something in it is no record.
    """
    for row in rows(payload):
        yield row[0], call_of(row)


def rows(payload: bytes, count: int | None = None) -> Sequence[Row]:
    """Return the records of a payload as they travel, for those who have millions to sort.

    :param count: how many there should be; known, they are read at one go.
    :raises NoRecordError: when something in it is no record.
    """
    found = _one_by_one(payload) if count is None else _at_one_go(payload, count)
    for row in found:
        if type(row) is not tuple or len(row) != _LENGTH or type(row[0]) is not int:
            raise NoRecordError(f"no record of this version: {row!s:.80}")
    return found


def _at_one_go(payload: bytes, count: int) -> Sequence[Any]:
    """Read so many records as one array; should there be another number of them, one by one."""
    try:
        found: Sequence[Any] = msgpack.unpackb(_ARRAY.pack(0xDD, count) + payload, use_list=False)
    except (ValueError, msgpack.UnpackException):
        return _one_by_one(payload)
    return found


def _one_by_one(payload: bytes) -> Sequence[Any]:
    unpacker = msgpack.Unpacker(use_list=False, max_buffer_size=max(len(payload), 1))
    unpacker.feed(payload)
    found: list[Any] = []
    read = 0
    try:
        for row in unpacker:
            found.append(row)
            read = unpacker.tell()
    except (ValueError, msgpack.UnpackException) as error:
        raise NoRecordError(f"no record of this version: {error}") from error
    if read != len(payload):
        raise NoRecordError("the last record was cut off")
    return found


def call_of(row: Row, index: int = 0) -> Call:
    """Return the call that a row tells of.

    :raises NoRecordError: when it is no record.
    """
    _, client, kind, values, outcome, rest, invoked, completed = row
    try:
        return Call(
            index=index,
            client=client,
            phase=0,
            operation=_MAKE[kind](values),
            answer=_PLAIN_ANSWERS[outcome] if rest is None else Answer(_OUTCOMES[outcome], *rest),
            invoked=invoked,
            completed=completed,
        )
    except (ValueError, TypeError, KeyError) as wrong:
        raise NoRecordError(f"no record of this version: {wrong}") from wrong


def _maker(name: str) -> Callable[[tuple[Any, ...]], Operation]:
    """Return what makes operations of a kind from the values of their fields."""
    kind, names = _KINDS[name], _FIELDS[name]
    return lambda values: kind(**dict(zip(names, values, strict=True)))


def _reserve(values: tuple[Any, ...]) -> Operation:
    """Make a reserve, which most operations are; its proof travels as a word."""
    ticket, person, quantity, proof, disconnects = values
    return Reserve(
        ticket=ticket, person=person, quantity=quantity, proof=_PROOFS[proof], disconnects=disconnects
    )


_MAKE: dict[str, Callable[[tuple[Any, ...]], Operation]] = {name: _maker(name) for name in _KINDS}
_MAKE["reserve"] = _reserve
