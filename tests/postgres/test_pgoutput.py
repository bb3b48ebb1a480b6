"""The decoder of the log: message by message, and what it does with what it cannot understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.postgres import connect
from harness.postgres.pgoutput import Change, ChangeKind, Decoder, MalformedError, Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

WANTED = {"public.t": ("b", "a")}
BEGIN = bytes.fromhex("42 000000000000002a 0002000000000000 0000007b")
COMMIT = bytes.fromhex("43 00 000000000000002a 000000000000002b 0002000000000000")
RELATION = (
    b"R" + (7).to_bytes(4) + b"public\0t\0f" + (3).to_bytes(2)
    + b"".join(b"\1" + name + b"\0" + bytes(8) for name in (b"a", b"unasked", b"b"))
)  # fmt: skip
UNASKED = b"R" + (8).to_bytes(4) + b"public\0u\0f" + bytes(2)


def row(*values: bytes | None) -> bytes:
    """A row as it stands in a message; ``None`` is null, ``b"u"`` alone what was not written again."""
    parts = [b"n" if value is None else value if value == b"u" else text(value) for value in values]
    return len(values).to_bytes(2) + b"".join(parts)


def text(value: bytes) -> bytes:
    return b"t" + len(value).to_bytes(4) + value


def message(kind: bytes, *parts: bytes, oid: int = 7) -> bytes:
    return kind + oid.to_bytes(4) + b"".join(parts)


def decoded(*messages: bytes) -> Sequence[Change]:
    decoder = Decoder(WANTED)
    for each in (BEGIN, RELATION, UNASKED, *messages):
        assert decoder.feed(each) is None
    done = decoder.feed(COMMIT)
    assert done is not None
    return done.changes


def test_a_commit_completes_a_transaction() -> None:
    """With its number, its time in microseconds since 1970, and the position after it."""
    decoder = Decoder(WANTED)
    assert decoder.feed(BEGIN) is None
    assert decoder.feed(COMMIT) == Transaction(123, 0x2000000000000 + 946_684_800_000_000, 43, ())


def test_the_columns_that_were_asked_for_come_in_their_order() -> None:
    """And no others."""
    told = decoded(
        message(b"I", b"N", row(b"1", b"2", "ü".encode())), message(b"I", b"N", row(b"", b"", None))
    )
    assert told == (
        Change(ChangeKind.INSERT, "public.t", None, ("ü", "1")),
        Change(ChangeKind.INSERT, "public.t", None, (None, "")),
    )


def test_an_update_tells_the_row_before_where_the_log_has_it() -> None:
    """A key alone is not the row; a value that was not written again is the old one."""
    new = (b"N", row(b"1", b"u", b"u"))
    told = decoded(
        message(b"U", b"O", row(b"0", b"8", b"9"), *new),
        message(b"U", b"K", row(b"0", None, None), *new),
        message(b"U", *new),
    )
    assert [(change.old, change.new) for change in told] == [
        (("9", "0"), ("9", "1")),
        (None, (None, "1")),
        (None, (None, "1")),
    ]


def test_deletes_and_truncations() -> None:
    """The row that went; or all of them."""
    truncation = b"T" + (2).to_bytes(4) + b"\0" + (8).to_bytes(4) + (7).to_bytes(4)
    assert decoded(message(b"D", b"O", row(b"0", b"8", b"9")), truncation) == (
        Change(ChangeKind.DELETE, "public.t", ("9", "0"), None),
        Change(ChangeKind.TRUNCATE, "public.t", None, None),
    )


def test_tables_that_nobody_asked_for_are_passed_over() -> None:
    """So are types, origins and messages."""
    others = (b"Y" + bytes(10), b"O" + bytes(9), b"M" + bytes(20))
    assert decoded(message(b"I", b"N", row(b"1"), oid=8), *others) == ()


def test_a_table_may_change_its_shape_under_way() -> None:
    """It is then described anew."""
    shorter = (
        b"R"
        + (7).to_bytes(4)
        + b"public\0t\0f"
        + (2).to_bytes(2)
        + b"".join(b"\0" + name + b"\0" + bytes(8) for name in (b"b", b"a"))
    )
    told = decoded(message(b"I", b"N", row(b"1", b"2", b"3")), shorter, message(b"I", b"N", row(b"4", b"5")))
    assert [change.new for change in told] == [("3", "1"), ("4", "5")]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"Z",
        b"S" + bytes(8),
        BEGIN[:-1],
        COMMIT[:5],
        RELATION[:20],
        message(b"I", b"N", row(b"1", b"2", b"3"))[:-1],
        message(b"I", b"N", row(b"1", b"2")),
        message(b"I", b"N", b"\0\3x"),
        message(b"I", b"N", row(b"1", b"2", b"3"), oid=9),
        message(b"I", b"N", row(b"1", b"2", b"\xff")),
        b"R" + (7).to_bytes(4) + b"public\0t\0f" + (1).to_bytes(2) + b"\0a\0" + bytes(8),
    ],
)
def test_what_cannot_be_understood_is_said(garbage: bytes) -> None:
    """Rather than passed over: a change that is not seen is a violation that is not seen."""
    decoder = Decoder(WANTED)
    decoder.feed(BEGIN)
    decoder.feed(RELATION)
    with pytest.raises(MalformedError, match="no message of pgoutput"):
        decoder.feed(garbage)


async def test_what_postgres_says_is_understood(database: str) -> None:
    """The layout above is the one that this server writes."""
    connection = await connect(database)
    await connection.execute(
        "CREATE TABLE t (a text, unasked integer, b text); ALTER TABLE t REPLICA IDENTITY FULL"
    )
    await connection.execute("CREATE PUBLICATION p FOR TABLE t")
    await connection.fetchval("SELECT pg_create_logical_replication_slot('decoder', 'pgoutput', true)::text")
    await connection.execute("SET synchronous_commit = on")
    await connection.execute("INSERT INTO t VALUES ('1', 2, 'ü')")
    rows = await connection.fetch(
        "SELECT data FROM pg_logical_slot_get_binary_changes('decoder', NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'p')"
    )
    await connection.close()
    decoder = Decoder(WANTED)
    (told,) = [done for each in rows if (done := decoder.feed(each[0]))]
    assert told.changes == (Change(ChangeKind.INSERT, "public.t", None, ("ü", "1")),)
