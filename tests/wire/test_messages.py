"""Messages: what is decoded is encoded to the same bytes, and nothing short of its fields is accepted."""

from __future__ import annotations

import pytest

from harness.wire import messages as m
from harness.wire.framing import Frame, ProtocolError, Side

EXAMPLES: list[tuple[Side, m.Message]] = [
    (Side.FRONTEND, m.Query("SELECT 'ä'")),
    (Side.FRONTEND, m.Parse("name", "SELECT $1", (23, 0))),
    (Side.FRONTEND, m.Bind("portal", "name", (1, 0), (b"\0\0\0\1", None, b""), (1,))),
    (Side.FRONTEND, m.Describe("S", "name")),
    (Side.FRONTEND, m.Execute("portal", 7)),
    (Side.FRONTEND, m.Close("P", "portal")),
    (Side.FRONTEND, m.Flush()),
    (Side.FRONTEND, m.Sync()),
    (Side.FRONTEND, m.Terminate()),
    (Side.FRONTEND, m.FunctionCall(b"anything")),
    (Side.FRONTEND, m.Password(b"md5\0")),
    (Side.FRONTEND, m.CopyFail("no more")),
    (Side.FRONTEND, m.CopyData(b"1\t2\n")),
    (Side.FRONTEND, m.CopyDone()),
    (Side.BACKEND, m.Authentication(5, b"salt")),
    (Side.BACKEND, m.BackendKeyData(4711, b"secret of any length")),
    (Side.BACKEND, m.ParameterStatus("TimeZone", "UTC")),
    (Side.BACKEND, m.ReadyForQuery("T")),
    (Side.BACKEND, m.CommandComplete("INSERT 0 1")),
    (Side.BACKEND, m.ErrorResponse.make("40001", "try again")),
    (Side.BACKEND, m.NoticeResponse((("S", "NOTICE"), ("M", "hm")))),
    (Side.BACKEND, m.NotificationResponse(4711, "news", "hello")),
    (Side.BACKEND, m.RowDescription((m.Column("id", 16384, 1, 23, 4, -1, 0),))),
    (Side.BACKEND, m.DataRow((b"1", None, b""))),
    (Side.BACKEND, m.ParseComplete()),
    (Side.BACKEND, m.BindComplete()),
    (Side.BACKEND, m.CloseComplete()),
    (Side.BACKEND, m.NoData()),
    (Side.BACKEND, m.EmptyQueryResponse()),
    (Side.BACKEND, m.PortalSuspended()),
    (Side.BACKEND, m.CopyInResponse(b"\0\0\0")),
    (Side.BACKEND, m.CopyOutResponse(b"\0\0\0")),
    (Side.BACKEND, m.CopyBothResponse(b"\0\0\0")),
]


@pytest.mark.parametrize(("side", "message"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_message_survives_the_round_trip(side: Side, message: m.Message) -> None:
    """Decoding what was encoded gives an equal message."""
    data = message.encode()
    assert m.decode(side, Frame(data[0], data)) == message


@pytest.mark.parametrize(
    ("side", "kind", "body"),
    [
        (Side.FRONTEND, b"Q", b"no end"),
        (Side.FRONTEND, b"P", b"name\0SELECT\0\0\5"),
        (Side.FRONTEND, b"B", b"portal\0name\0\0\0\0\1\0\0\0\xff"),
        (Side.FRONTEND, b"D", b"?name\0"),
        (Side.FRONTEND, b"E", b"portal\0"),
        (Side.BACKEND, b"Z", b"X"),
        (Side.BACKEND, b"E", b"Mno end"),
        (Side.BACKEND, b"T", b"\0\1name\0"),
    ],
)
def test_a_body_short_of_its_fields_is_refused(side: Side, kind: bytes, body: bytes) -> None:
    """Every kind of field that can be cut off or be wrong raises ProtocolError."""
    data = m.pack(kind[0], body)
    with pytest.raises(ProtocolError):
        m.decode(side, Frame(kind[0], data))


def test_the_names_of_a_bind_are_read_without_its_values() -> None:
    """Portal and statement are found also when they are long or the values are."""
    for name in ("", "n" * 300):
        bind = m.Bind("p" + name, name, (), (b"v" * 1_000_000,))
        assert m.Bind.names(bind.body()) == ("p" + name, name)
