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
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from harness.model import Answer, Call, Outcome
from harness.model.operations import FEATURE_OF, Proof, kind_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    unpacker = msgpack.Unpacker(use_list=False)
    unpacker.feed(payload)
    read = 0
    try:
        for sale, client, kind, values, outcome, rest, invoked, completed in unpacker:
            read = unpacker.tell()
            answer = Answer(_OUTCOMES[outcome]) if rest is None else Answer(_OUTCOMES[outcome], *rest)
            operation = _KINDS[kind](**dict(zip(_FIELDS[kind], values, strict=True)))
            if kind == "reserve":
                operation = _with_proof(operation)
            yield (
                sale,
                Call(
                    index=0,
                    client=client,
                    phase=0,
                    operation=operation,
                    answer=answer,
                    invoked=invoked,
                    completed=completed,
                ),
            )
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise NoRecordError(f"no record of this version: {error}") from error
    if read != len(payload):
        raise NoRecordError("the last record was cut off")


def _with_proof(operation: Any) -> Operation:
    """Return the operation with its proof as what it is, rather than as its value."""
    proof = Proof(operation.proof)
    if proof is operation.proof:
        return operation  # type: ignore[no-any-return]  # a reserve
    values = {field.name: getattr(operation, field.name) for field in fields(operation)}
    return type(operation)(**{**values, "proof": proof})  # type: ignore[no-any-return]  # likewise
