"""What a session is doing, learnt from watching its messages.

Theory of operation. Two streams pass through the proxy and nobody tells it the state of the session between
them; it is inferred, by rules that hold for every client:

1. A session goes through phases: opening, authenticating, starting, ready, and the COPY modes. Which messages
   may come in which phase, and what they lead to, is one table (:data:`TRANSITIONS`); a message that is
   not in it is a protocol error.
2. Once ready, each Query, FunctionCall and Sync is answered by one ReadyForQuery, in order. A session is *at
   rest* when none is outstanding and nothing was sent since the last: only then may a schedule take the
   session over or let go of it. A Sync that arrives while the server is in COPY IN is ignored by the server
   (libpq relies on it). A client ends COPY data only after the server asked for it, hence after the answers
   to all earlier Syncs: those still owed then will never be answered.
3. ReadyForQuery carries the transaction status, and nothing else does: SQL text is a hint only.
4. A prepared statement exists from its ParseComplete on. A failed Parse leaves what was there, so texts are
   noted when the answer comes, in the order of the requests; an error forgets those up to the next Sync.

In pass-through the session is told of few messages (:data:`PASS_FRONTEND`, :data:`PASS_BACKEND`), which is
what keeps a free proxy fast. Under a schedule, :mod:`harness.wire.schedule` tells it of every message.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING

from harness.wire import messages as m
from harness.wire.control import SessionInfo
from harness.wire.framing import BACKEND_LIMITS, FRONTEND_LIMITS, Handling, ProtocolError, Side, handle
from harness.wire.sqltext import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.wire.framing import Frame


class Phase(IntEnum):
    """Where a session is in its life."""

    OPENING = auto()
    """The startup packet has gone to the server."""
    AUTHENTICATING = auto()
    STARTING = auto()
    """Authenticated; the server tells its settings."""
    READY = auto()
    COPY_IN = auto()
    COPY_OUT = auto()
    COPY_BOTH = auto()
    """Replication: no schedule applies any more."""


_TYPED = set(FRONTEND_LIMITS)
_ANY_TIME = set(b"NAS")
_LIVE = (Phase.READY, Phase.COPY_IN, Phase.COPY_OUT, Phase.COPY_BOTH)


def _table() -> dict[tuple[Phase, Side, int], Phase]:
    front, back = Side.FRONTEND, Side.BACKEND
    table: dict[tuple[Phase, Side, int], Phase] = {}

    def may(phase: Phase, side: Side, kinds: bytes | set[int], to: Phase | None = None) -> None:
        table.update({(phase, side, kind): to or phase for kind in kinds})

    may(Phase.OPENING, back, b"NEv")
    may(Phase.OPENING, back, b"R", Phase.AUTHENTICATING)
    may(Phase.OPENING, front, b"pX")
    may(Phase.AUTHENTICATING, front, b"pX")
    may(Phase.AUTHENTICATING, back, b"RNEv")
    may(Phase.STARTING, back, b"KSNEv")
    may(Phase.STARTING, back, b"Z", Phase.READY)
    # A client may send ahead of the answers, and it is for the server to judge what comes when.
    for phase in (Phase.STARTING, *_LIVE):
        may(phase, front, _TYPED)
    may(Phase.READY, back, set(BACKEND_LIMITS) - set(b"RKv"))
    may(Phase.READY, back, b"G", Phase.COPY_IN)
    may(Phase.READY, back, b"H", Phase.COPY_OUT)
    may(Phase.READY, back, b"W", Phase.COPY_BOTH)
    for phase in (Phase.COPY_IN, Phase.COPY_OUT, Phase.COPY_BOTH):
        may(phase, back, _ANY_TIME)
        may(phase, back, b"E", Phase.READY)
        may(phase, back, b"C", Phase.READY)
    may(Phase.COPY_OUT, back, b"d")
    may(Phase.COPY_OUT, back, b"c", Phase.READY)
    may(Phase.COPY_BOTH, back, b"dc")
    return table


TRANSITIONS: Mapping[tuple[Phase, Side, int], Phase] = _table()
"""Phase, side and message type to the next phase. What is missing is a protocol error."""

PASS_FRONTEND = handle(Side.FRONTEND, Handling.SKIP, WHOLE=b"PC", NOTE=b"QFScf")
"""What pass-through looks at in what the client sends."""
PASS_BACKEND = handle(Side.BACKEND, Handling.SKIP, WHOLE=b"RKZ", NOTE=b"1E")
"""What pass-through looks at in what the server sends."""
_ENDS = frozenset(b"QFScfXp")
"""What a client may have sent last without leaving a pipeline open."""


class _Owes(Enum):
    """Who a ReadyForQuery is owed to."""

    SYNC = auto()
    QUERY = auto()


class Session:
    """The inferred state of one session."""

    def __init__(self, number: int, parameters: Mapping[str, str]) -> None:
        self.number = number
        self.parameters = parameters
        self.phase = Phase.OPENING
        self.status = "I"
        self.pid = 0
        self.secret = b""
        self.prepared: dict[str, str] = {}
        self.keeps_snapshots = any(read(value).keeps_snapshots for value in parameters.values())
        """Whether it ever spoke of an isolation level under which even a harmless SELECT takes a snapshot."""
        self._owed: deque[tuple[str, str] | _Owes] = deque()
        self._statements = 0

    def next_number(self) -> int:
        """Count one more statement."""
        self._statements += 1
        return self._statements

    @property
    def info(self) -> SessionInfo:
        """What a controller is told of it."""
        return SessionInfo(id=self.number, pid=self.pid, parameters=self.parameters)

    @property
    def replicating(self) -> bool:
        """Whether it is a replication connection, which no schedule applies to."""
        return self.parameters.get("replication", "off").lower() not in ("off", "false", "no", "0")

    @property
    def outstanding(self) -> int:
        """How many ReadyForQuery the server owes."""
        return sum(isinstance(owed, _Owes) for owed in self._owed)

    def at_rest(self, last_sent: int) -> bool:
        """Say whether nothing is under way in either direction, given the type the client last sent, or 0."""
        return self.phase is Phase.READY and not self._owed and (not last_sent or last_sent in _ENDS)

    def step(self, side: Side, kind: int) -> None:
        """Follow the table by one message.

        :raises ProtocolError: when the message cannot come in this phase.
        """
        try:
            self.phase = TRANSITIONS[self.phase, side, kind]
        except KeyError:
            raise ProtocolError(
                f"The {side.value} sent a message of type {chr(kind)!r} while {self.phase.name.lower()}."
            ) from None

    def observe(self, side: Side, frame: Frame) -> None:
        """Take notice of a message that passes through.

        :raises ProtocolError: when it cannot come in this phase or cannot be read.
        """
        self.step(side, frame.kind)
        watcher = (_FROM_CLIENT if side is Side.FRONTEND else _FROM_SERVER).get(frame.kind)
        if watcher is not None:
            watcher(self, frame)

    def note(self, sql: str) -> None:
        """Take notice of SQL text, for what it says about isolation."""
        self.keeps_snapshots = self.keeps_snapshots or read(sql).keeps_snapshots

    def _asked(self, _frame: Frame) -> None:
        self._owed.append(_Owes.QUERY)

    def _synced(self, _frame: Frame) -> None:
        self._owed.append(_Owes.SYNC)

    def _parsing(self, frame: Frame) -> None:
        parse = m.Parse.decode(frame.body)
        self._owed.append((parse.name, parse.sql))

    def _closing(self, frame: Frame) -> None:
        close = m.Close.decode(frame.body)
        if close.what == "S":
            self.prepared.pop(close.name, None)

    def _copied(self, _frame: Frame) -> None:
        """Take off the Syncs that the server ignored, because they came while it was in COPY IN."""
        while self._owed and self._owed[-1] is _Owes.SYNC:
            self._owed.pop()

    def authenticating(self, frame: Frame) -> None:
        """Take notice of an authentication message; code 0 says that it is done."""
        if m.Authentication.decode(frame.body).code == 0:
            self.phase = Phase.STARTING

    def identified(self, frame: Frame) -> None:
        """Take notice of process and secret."""
        key = m.BackendKeyData.decode(frame.body)
        self.pid, self.secret = key.pid, key.secret

    def _parsed(self, _frame: Frame) -> None:
        if self._owed and not isinstance(parse := self._owed[0], _Owes):
            self._owed.popleft()
            self.prepared[parse[0]] = parse[1]
            self.note(parse[1])

    def _failed(self, _frame: Frame) -> None:
        while self._owed and not isinstance(self._owed[0], _Owes):
            self._owed.popleft()

    def _ready(self, frame: Frame) -> None:
        self.status = m.ReadyForQuery.decode(frame.body).status
        self._failed(frame)
        if self._owed:
            self._owed.popleft()


_FROM_CLIENT = {
    m.Query.KIND: Session._asked,
    m.FunctionCall.KIND: Session._asked,
    m.Sync.KIND: Session._synced,
    m.Parse.KIND: Session._parsing,
    m.Close.KIND: Session._closing,
    m.CopyDone.KIND: Session._copied,
    m.CopyFail.KIND: Session._copied,
}
_FROM_SERVER = {
    m.Authentication.KIND: Session.authenticating,
    m.BackendKeyData.KIND: Session.identified,
    m.ParseComplete.KIND: Session._parsed,
    m.ErrorResponse.KIND: Session._failed,
    m.ReadyForQuery.KIND: Session._ready,
}
