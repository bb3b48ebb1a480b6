"""Holding a session's statements and commits back, so that somebody else chooses their order. No I/O.

Theory of operation. An autocommit statement has two moments: it *executes*, and later it *commits*. What one
session can see of another changes at the second; whole statements in any order never show it. Postgres lets
us stand between the two: an Execute answers when it is followed by a Flush, and commits at Sync.

1. What the client sends is queued and worked off in order. A message that has nothing to decide (Parse,
   Describe, Close) is *staged*: it leaves together with the next one that must, because even a Parse takes
   a snapshot, which under REPEATABLE READ would be older than the decision.
2. A Bind is a point (``BEFORE_EXECUTE``): for many queries it takes the snapshot, so holding the Execute
   would be too late. An Execute is a point of its own only if it goes on with an earlier pipeline's portal.
3. Before any point everything that was sent must have been answered; a Flush is added to that end. So a
   statement is never announced that an earlier failure skips, and the transaction status is known.
4. After each Execute goes a Flush. A Sync that would commit an implicit transaction in which something
   ran is a point (``BEFORE_COMMIT``). From the first CommandComplete of such a transaction on, answers are
   kept back until ReadyForQuery, a Flush of the client, or 64 kB: all of which Postgres itself might do.
5. A simple Query with one preparable statement outside a transaction is rewritten to Parse, Bind, Describe,
   Execute, Flush; and Close, Sync. Its CommandComplete waits for the Sync and is dropped when that fails.
   All else in a Query goes as it is; where several statements, or execution and commit, cannot be held
   apart, it is coarse.
6. After an error the server skips up to the next Sync. So do we, by not sending what it would skip.
7. To refuse is to let the server fail, with an error of ours in place of its own, so that its transaction
   is where the client believes it to be.

The answers a server owes are a queue too; what may answer what is one table (:data:`ANSWERS`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, TypeAlias

from harness.wire import messages as m
from harness.wire.control import PROCEED, Action, Decision, Result, Statement
from harness.wire.framing import Frame, Handling, ProtocolError, Side, handle
from harness.wire.session import Phase, Session
from harness.wire.sqltext import UNREAD, Kind, Text, kind_of_tag, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FRONTEND = handle(Side.FRONTEND, Handling.WHOLE, STREAM=b"d")
"""How the client's messages must be framed for a schedule."""
BACKEND = handle(Side.BACKEND, Handling.WHOLE, STREAM=b"Dd")
"""How the server's messages must be framed for a schedule."""

_HELD_AT_MOST = 65_536
_FLUSH = m.Flush().encode()
_SYNC = m.Sync().encode()


class Moment(Enum):
    """The two moments at which a statement can be held."""

    BEFORE_EXECUTE = auto()
    BEFORE_COMMIT = auto()


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a statement that waits for a decision."""

    moment: Moment
    statement: Statement


@dataclass(frozen=True, slots=True)
class Executed:
    """A statement has run, or failed."""

    statement: Statement
    result: Result


@dataclass(frozen=True, slots=True)
class Finished:
    """A statement and, if implicit, its transaction are over."""

    statement: Statement
    result: Result


Event: TypeAlias = Executed | Finished


class _Asked(IntEnum):
    """What the server was asked, as far as its answers differ."""

    PARSE = auto()
    BIND = auto()
    DESCRIBE = auto()
    EXECUTE = auto()
    CLOSE = auto()
    SYNC = auto()
    QUERY = auto()
    CALL = auto()


def _answers() -> dict[tuple[_Asked, int], bool]:
    table: dict[tuple[_Asked, int], bool] = {}
    for asked, more, last in (
        (_Asked.PARSE, b"", b"1"),
        (_Asked.BIND, b"", b"2"),
        (_Asked.DESCRIBE, b"t", b"Tn"),
        (_Asked.EXECUTE, b"DGHWdc", b"CsI"),
        (_Asked.CLOSE, b"", b"3"),
        (_Asked.SYNC, b"", b"Z"),
        (_Asked.QUERY, b"TDCIGHWdc", b"Z"),
        (_Asked.CALL, b"V", b"Z"),
    ):
        table.update({(asked, kind): False for kind in more} | {(asked, kind): True for kind in last})
    return table


ANSWERS: Mapping[tuple[_Asked, int], bool] = _answers()
"""What was asked and a message type to whether that completes the answer. What is missing is an error."""


class _Running:
    """A statement under way and what is known of its result."""

    __slots__ = ("error", "executed", "pipeline", "rows", "statement", "suspended", "tags")

    def __init__(self, statement: Statement, pipeline: int) -> None:
        self.statement = statement
        self.pipeline = pipeline
        self.executed = False
        self.tags: list[str] = []
        self.rows = 0
        self.suspended = False
        self.error: m.ErrorResponse | None = None

    def result(self, status: str | None = None, *, lost: bool = False) -> Result:
        return Result(
            tags=tuple(self.tags),
            rows=self.rows,
            sqlstate=self.error.sqlstate if self.error else None,
            message=self.error.message if self.error else "",
            status=status,
            lost=lost,
            suspended=self.suspended,
        )


@dataclass(slots=True)
class _Owed:
    """One answer the server owes."""

    asked: _Asked
    running: _Running | None = None
    hidden: bool = False
    """The client did not ask for it."""
    error: Decision | None = None
    """The refusal to tell the client of instead of the error that will come."""
    restores: tuple[str, str | None] | None = None
    """Name and former text of a prepared statement, should the request come to nothing."""


class Schedule:
    """One session under control.

    Feed it frames from both sides; after each, take :meth:`take_to_server`, :meth:`take_to_client` and
    :meth:`take_events`, look at :attr:`point` and :attr:`cut`, and answer a point with :meth:`decide`.
    """

    def __init__(self, session: Session) -> None:
        self.point: Point | None = None
        """What waits for a decision."""
        self.cut = False
        """Whether both connections must now be broken."""
        self.queued = 0
        """Bytes of the client that wait for their turn."""
        self._session = session
        self._queue: deque[Frame] = deque()
        self._staged: list[tuple[bytes, _Owed]] = []
        self._owed: deque[_Owed] = deque()
        self._to_server = bytearray()
        self._to_client = bytearray()
        self._events: list[Event] = []
        self._granted: Decision | None = None
        self._portals: dict[str, _Running] = {}
        self._pipeline = 0
        self._pipeline_open = False
        self._segment: list[_Running] = []
        self._implicit: _Running | None = None
        self._in_block = session.status != "I"
        self._failed: m.ErrorResponse | None = None
        self._skipping = False
        self._flushed = False
        self._copied = False
        self._holding = False
        self._held = bytearray()
        self._simple = False
        self._completion: bytes | None = None
        self._muted = False
        self._cut_at: Moment | None = None
        self._instead: Decision | None = None

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way, so that the session may be let go of."""
        busy = self._queue or self._owed or self._staged or self.point or self._pipeline_open
        return not busy and self._session.phase is Phase.READY

    @property
    def idle(self) -> bool:
        """Whether nothing that the client sent still waits, here or at the server."""
        return not (self._queue or self._owed or self.point)

    def client_sent(self, frame: Frame) -> None:
        """Take in what the client sent.

        :raises ProtocolError: when it cannot be read.
        """
        if frame.first:
            self._session.step(Side.FRONTEND, frame.kind)
        self._queue.append(frame)
        self.queued += len(frame.data)
        self._work()

    def server_sent(self, frame: Frame) -> None:
        """Take in what the server sent.

        :raises ProtocolError: when it is no answer to what was asked, or cannot be read.
        """
        if not frame.first:
            self._deliver(frame.data)
            return
        self._session.step(Side.BACKEND, frame.kind)
        if frame.kind in _ASYNCHRONOUS:
            self._deliver(frame.data)
        elif frame.kind == m.ErrorResponse.KIND:
            self._on_error(frame)
        else:
            self._on_answer(frame)
        self._work()

    def decide(self, decision: Decision) -> None:
        """Answer the point that waits.

        :raises RuntimeError: when none does.
        """
        if self.point is None:
            raise RuntimeError("there is no point to decide")
        if decision.action is Action.CUT:
            self._cut()
            return
        if decision.action is Action.CUT_AFTER:
            self._cut_at, self._muted = self.point.moment, True
        elif decision.action is Action.FAIL_AFTER:
            self._instead, self._muted = decision, True
        self._granted = decision
        self._work()

    def lost(self) -> None:
        """Take notice that the connection is gone: what was under way will never be known."""
        self.point = None
        self._queue.clear()
        for running in self._segment:
            self._events.append(Finished(running.statement, running.result(lost=True)))
        self._segment.clear()

    def take_to_server(self) -> bytes:
        """Return, and forget, what must now go to the server."""
        taken, self._to_server = bytes(self._to_server), bytearray()
        return taken

    def take_to_client(self) -> bytes:
        """Return, and forget, what must now go to the client."""
        taken, self._to_client = bytes(self._to_client), bytearray()
        return taken

    def take_events(self) -> list[Event]:
        """Return, and forget, what happened."""
        taken, self._events = self._events, []
        return taken

    # What the client sent, in its order.

    def _work(self) -> None:
        while self._queue and not self.cut and (self.point is None or self._granted is not None):
            frame = self._queue[0]
            if not _STEPS[frame.kind](self, frame):
                return
            self.queued -= len(frame.data)
            self._queue.popleft()

    def _on_parse(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        parse = m.Parse.decode(frame.body)
        self._stage(frame.data, _Owed(_Asked.PARSE, restores=self._rename(parse.name, parse.sql)))
        self._session.note(parse.sql)
        return True

    def _on_close(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        close = m.Close.decode(frame.body)
        restores = self._rename(close.name, None) if close.what == "S" else None
        self._stage(frame.data, _Owed(_Asked.CLOSE, restores=restores))
        return True

    def _on_describe(self, frame: Frame) -> bool:
        if not self._skipping:
            self._stage(frame.data, _Owed(_Asked.DESCRIBE))
        return True

    def _on_bind(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        portal, name = m.Bind.names(frame.body)
        sql = self._session.prepared.get(name)
        if (decision := self._ask_to_execute(sql)) is None:
            return False
        running = self._begin()
        if decision.action is Action.REFUSE:
            self._refuse(decision, running)
            return True
        self._portals[portal] = running
        self._send_staged()
        self._send(frame.data, _Owed(_Asked.BIND, running))
        return True

    def _on_execute(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        running = self._portals.get(m.Execute.decode(frame.body).portal)
        if running is None or running.executed or running.pipeline != self._pipeline:
            if (decision := self._ask_to_execute(running.statement.sql if running else None)) is None:
                return False
            again = self._begin()
            if decision.action is Action.REFUSE:
                self._refuse(decision, again)
                return True
            running = again
            self._portals[m.Execute.decode(frame.body).portal] = again
        self._send_staged()
        self._send(frame.data, _Owed(_Asked.EXECUTE, running))
        self._flush()
        return True

    def _on_flush(self, _frame: Frame) -> bool:
        if self._skipping or self._copying_in:
            return True
        if not self._answered():
            return False
        self._release()
        return True

    def _on_sync(self, frame: Frame) -> bool:
        if self._copying_in:
            return True  # The server would ignore it, too; the client sends another after its data.
        if not self._skipping:
            if not self._answered():
                return False
            decision = self._ask_to_commit()
            if decision is None:
                return False
            if decision.action is Action.REFUSE:
                self._send_poison(decision, None)
                return False
        if self._simple and not self._skipping:
            self._send(m.Close("S", "").encode(), _Owed(_Asked.CLOSE, hidden=True))
        self._send(frame.data, _Owed(_Asked.SYNC))
        self._skipping = False
        self._pipeline += 1
        return True

    def _on_query(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        if self._copying_in:
            self._to_server += frame.data
            return True
        sql = m.Query.decode(frame.body).text
        if (decision := self._ask_to_execute(sql, simple=True)) is None:
            return False
        running = self._begin()
        self._session.note(sql)
        if decision.action is Action.REFUSE:
            self._simple = True
            self._refuse(decision, running)
            return self._sync_next()
        self._rename("", None)
        if self._in_block or not _rewritable(read(sql)):
            self._send_staged()
            self._send(frame.data, _Owed(_Asked.QUERY, running))
            self._pipeline += 1
            return True
        self._rewrite(sql, running)
        return self._sync_next()

    def _on_call(self, frame: Frame) -> bool:
        if self._skipping:
            return True
        if (decision := self._ask_to_execute(None, coarse=True)) is None:
            return False
        running = self._begin()
        if decision.action is Action.REFUSE:
            self._simple = True
            self._refuse(decision, running)
            return self._sync_next()
        self._send_staged()
        self._send(frame.data, _Owed(_Asked.CALL, running))
        self._pipeline += 1
        return True

    @property
    def _copying_in(self) -> bool:
        """Whether the server waits for COPY data of which the client has not sent the end."""
        return self._session.phase is Phase.COPY_IN and not self._copied

    def _on_other(self, frame: Frame) -> bool:
        """Let through what has no answer of its own: COPY data and its end, Terminate."""
        if frame.kind in (m.CopyDone.KIND, m.CopyFail.KIND):
            self._copied = True
            self._flushed = False  # The server ignored what asked for a flush before this.
        self._send_staged()
        self._to_server += frame.data
        return True

    # Points.

    def _ask_to_execute(
        self, sql: str | None, *, simple: bool = False, coarse: bool = False
    ) -> Decision | None:
        """Return the decision about running this text; ``None`` as long as there is none."""
        if self._granted is not None:
            return self._take_decision()
        if self._owed:
            self._flush()
            return None
        self._next = self._statement(sql, simple=simple, coarse=coarse)
        if not self._next.point:
            return PROCEED
        self.point = Point(Moment.BEFORE_EXECUTE, self._next)
        return None

    def _ask_to_commit(self) -> Decision | None:
        if self._granted is not None:
            return self._take_decision()
        if self._implicit is None:
            return PROCEED
        self.point = Point(Moment.BEFORE_COMMIT, self._implicit.statement)
        return None

    def _take_decision(self) -> Decision:
        assert self._granted is not None  # noqa: S101  # the callers looked
        decision, self._granted, self.point = self._granted, None, None
        return decision

    def _statement(self, sql: str | None, *, simple: bool, coarse: bool) -> Statement:
        text = UNREAD if sql is None else read(sql)
        return Statement(
            session=self._session.number,
            number=self._session.next_number(),
            sql=sql or "",
            kind=text.kind,
            point=self._is_point(text),
            coarse=coarse or self._is_coarse(text, simple),
            in_transaction=self._in_block,
        )

    def _is_point(self, text: Text) -> bool:
        if self._session.status == "E" and self._in_block:
            return False  # Locks and snapshot went with the error; nothing but the end can be said now.
        keeps = self._session.keeps_snapshots and self._in_block
        return any(part.held or (keeps and part.reads) for part in text.parts)

    def _is_coarse(self, text: Text, simple: bool) -> bool:
        """Say whether statements, or execution and commit, cannot be held apart in this text."""
        if any(part.held and (part.commits_inside or part.alone) for part in text.parts):
            return not self._in_block
        if not simple or not text.held:
            return False
        begins = any(part.kind is Kind.BEGIN for part in text.parts)
        ends = text.parts[-1].kind in (Kind.COMMIT, Kind.ROLLBACK)
        commits = not (self._in_block or begins or _rewritable(text) or ends)
        return text.held > 1 or commits

    def _begin(self) -> _Running:
        running = _Running(self._next, self._pipeline)
        self._segment.append(running)
        self._pipeline_open = True
        return running

    # Sending.

    def _stage(self, data: bytes, owed: _Owed) -> None:
        self._staged.append((data, owed))
        self._pipeline_open = True

    def _send_staged(self) -> None:
        for data, owed in self._staged:
            self._send(data, owed)
        self._staged.clear()

    def _send(self, data: bytes, owed: _Owed) -> None:
        self._to_server += data
        self._owed.append(owed)
        self._flushed = False

    def _flush(self) -> None:
        """Ask for what is owed, once."""
        if not self._flushed:
            self._to_server += _FLUSH
            self._flushed = True

    def _answered(self) -> bool:
        """Send what is staged and say whether everything was answered."""
        self._send_staged()
        if self._owed:
            self._flush()
        return not self._owed

    def _rename(self, name: str, sql: str | None) -> tuple[str, str | None]:
        former = self._session.prepared.pop(name, None)
        if sql is not None:
            self._session.prepared[name] = sql
        return name, former

    def _rewrite(self, sql: str, running: _Running) -> None:
        """Send one statement of a simple Query in the extended protocol, up to its execution."""
        self._simple = True
        self._send_staged()
        self._send(m.Parse("", sql).encode(), _Owed(_Asked.PARSE, running, hidden=True))
        self._send(m.Bind("", "").encode(), _Owed(_Asked.BIND, running, hidden=True))
        self._send(m.Describe("P", "").encode(), _Owed(_Asked.DESCRIBE, running, hidden=True))
        self._send(m.Execute().encode(), _Owed(_Asked.EXECUTE, running, hidden=True))
        self._flush()

    def _sync_next(self) -> bool:
        """Put a Sync in the place of the Query at the head of the queue, and say to go on with it."""
        self.queued -= len(self._queue[0].data) - len(_SYNC)
        self._queue[0] = Frame(m.Sync.KIND, _SYNC)
        return self._on_sync(self._queue[0])

    def _refuse(self, decision: Decision, running: _Running) -> None:
        self._send_staged()
        if self._in_block and running.statement.kind is Kind.COMMIT:
            self._send_rollback()
        self._send_poison(decision, running)

    def _send_poison(self, decision: Decision, running: _Running | None) -> None:
        """Make the server fail: no SQL begins with this word, and a name keeps '' untouched."""
        poison = m.Parse("oversell_refused", "refused").encode()
        self._send(poison, _Owed(_Asked.PARSE, running, hidden=True, error=decision))
        self._flush()

    def _send_rollback(self) -> None:
        """End the transaction, unseen: a COMMIT that fails leaves none behind."""
        name = "oversell_rollback"
        for message, asked in (
            (m.Parse(name, "ROLLBACK"), _Asked.PARSE),
            (m.Bind(name, name), _Asked.BIND),
            (m.Execute(name), _Asked.EXECUTE),
            (m.Close("S", name), _Asked.CLOSE),
        ):
            self._send(message.encode(), _Owed(asked, hidden=True))

    # Answers.

    def _on_answer(self, frame: Frame) -> None:
        owed = self._owed[0] if self._owed else None
        last = ANSWERS.get((owed.asked, frame.kind)) if owed else None
        if owed is None or last is None:
            wanted = owed.asked.name.lower() if owed else "nothing"
            raise ProtocolError(
                f"The server sent a message of type {chr(frame.kind)!r} when {wanted} was to be answered."
            )
        if last:
            self._owed.popleft()
        _RECEIVED.get(frame.kind, Schedule._received)(self, frame, owed)

    def _received(self, frame: Frame, owed: _Owed) -> None:
        """Pass on an answer, unless the client did not ask for it."""
        if not owed.hidden or frame.kind in _VISIBLE:
            self._deliver(frame.data)

    def _received_row(self, frame: Frame, owed: _Owed) -> None:
        if owed.running:
            owed.running.rows += 1
        self._deliver(frame.data)

    def _received_copy(self, frame: Frame, _owed: _Owed) -> None:
        """The client must know at once: it has something to send."""
        self._copied = False
        self._release()
        self._deliver(frame.data)

    def _received_completion(self, frame: Frame, owed: _Owed) -> None:
        tag = m.CommandComplete.decode(frame.body).text
        self._follow(tag, owed.running)
        if owed.running:
            owed.running.tags.append(tag)
        self._complete(frame, owed)

    def _received_end(self, frame: Frame, owed: _Owed) -> None:
        """An Execute ended without a tag: at its row limit, or because there was nothing to run."""
        if owed.running:
            owed.running.suspended = frame.kind == m.PortalSuspended.KIND
            self._remember(owed.running)
        self._complete(frame, owed)

    def _complete(self, frame: Frame, owed: _Owed) -> None:
        if owed.asked is not _Asked.EXECUTE:
            self._deliver(frame.data)
            return
        if owed.running:
            self._tell_executed(owed.running)
        elif owed.hidden:
            return
        if self._simple:
            self._completion = frame.data
            return
        self._holding = self._holding or self._implicit is not None
        self._deliver(frame.data)

    def _received_ready(self, frame: Frame, _owed: _Owed) -> None:
        status = m.ReadyForQuery.decode(frame.body).status
        self._session.status = status
        self._in_block = status != "I"
        finished, self._segment = self._segment, []
        for running in finished:
            self._finish(running, status)
        if self._cut_at is not None:
            self._cut()
            return
        if self._instead is not None:
            self._tell_instead(self._instead)
        if self._completion is not None:
            self._deliver(self._completion)
        self._release()
        self._deliver(frame.data)
        self._new_pipeline()

    def _tell_instead(self, decision: Decision) -> None:
        """Put an error in the place of the answer, whatever that was."""
        self._instead, self._muted, self._completion = None, False, None
        self._held.clear()
        self._deliver(m.ErrorResponse.make(decision.sqlstate, decision.message).encode())

    def _on_error(self, frame: Frame) -> None:
        error = m.ErrorResponse.decode(frame.body)
        owed = self._owed[0] if self._owed else None
        data = frame.data
        if owed and owed.error:
            error = m.ErrorResponse.make(owed.error.sqlstate, owed.error.message)
            data = error.encode()
        self._failed = error
        self._completion = None
        if owed and owed.asked in (_Asked.QUERY, _Asked.CALL):
            if owed.running:
                owed.running.error = error
        elif owed and owed.asked is not _Asked.SYNC:
            self._skip_to_sync()
            if owed.running:
                owed.running.error = error
                self._tell_executed(owed.running)
        self._deliver(data)

    def _skip_to_sync(self) -> None:
        """Forget what the server will not answer any more; if no Sync has been sent, skip up to it."""
        while self._owed and self._owed[0].asked is not _Asked.SYNC:
            self._restore(self._owed.popleft())
        if not self._owed:
            self._skipping = True
            for _, owed in reversed(self._staged):
                self._restore(owed)
            self._staged.clear()
        self._implicit = None

    def _restore(self, owed: _Owed) -> None:
        if owed.restores is not None:
            self._rename(*owed.restores)

    def _tell_executed(self, running: _Running) -> None:
        running.executed = True
        if running in self._segment:
            self._events.append(Executed(running.statement, running.result()))
        if self._cut_at is Moment.BEFORE_EXECUTE:
            self._cut()

    def _finish(self, running: _Running, status: str) -> None:
        if not running.executed:
            running.executed = True
            self._events.append(Executed(running.statement, running.result(status)))
        if self._failed is not None and not running.statement.in_transaction and status == "I":
            running.error = self._failed
        self._events.append(Finished(running.statement, running.result(status)))

    def _follow(self, tag: str, running: _Running | None) -> None:
        """Infer from a command tag whether a transaction is open, until ReadyForQuery says so."""
        kind = kind_of_tag(tag)
        if kind is Kind.BEGIN:
            self._in_block, self._implicit = True, None
        elif kind in (Kind.COMMIT, Kind.ROLLBACK) and not _stays_open(running):
            self._in_block, self._implicit = False, None
        elif running is not None:
            self._remember(running)

    def _remember(self, running: _Running) -> None:
        """Note the last statement whose effects the Sync will commit."""
        alone = any(part.alone for part in read(running.statement.sql).parts)
        if running.statement.point and not self._in_block and not alone:
            self._implicit = running

    def _new_pipeline(self) -> None:
        """Begin anew after ReadyForQuery; portals live as long as their transaction."""
        if not self._in_block:
            self._portals.clear()
        self._implicit = None
        self._failed = None
        self._simple = False
        self._completion = None
        self._pipeline_open = bool(self._staged)

    def _deliver(self, data: bytes) -> None:
        if self._muted:
            return
        if not self._holding:
            self._to_client += data
            return
        self._held += data
        if len(self._held) > _HELD_AT_MOST:
            self._release()

    def _release(self) -> None:
        """Give the client what was kept back."""
        self._holding = False
        self._to_client += self._held
        self._held.clear()

    def _cut(self) -> None:
        self.cut = True
        self._to_client.clear()
        self.lost()


def _rewritable(text: Text) -> bool:
    """Say whether a simple Query of this text can as well run in the extended protocol."""
    return len(text.parts) == 1 and text.held == 1 and text.parts[0].preparable and not text.parameters


def _stays_open(running: _Running | None) -> bool:
    """Say whether a COMMIT or ROLLBACK left a transaction open, for which only its text can tell."""
    if running is None:
        return False
    parts = read(running.statement.sql).parts
    return any(part.chained or part.kind is Kind.SAVEPOINT for part in parts[-1:])


_ASYNCHRONOUS = frozenset((m.NoticeResponse.KIND, m.NotificationResponse.KIND, m.ParameterStatus.KIND))
_VISIBLE = frozenset((m.RowDescription.KIND, m.DataRow.KIND))
"""What a client sees of a rewritten Query, besides its completion."""

_STEPS: Mapping[int, Callable[[Schedule, Frame], bool]] = {
    m.Parse.KIND: Schedule._on_parse,
    m.Bind.KIND: Schedule._on_bind,
    m.Describe.KIND: Schedule._on_describe,
    m.Execute.KIND: Schedule._on_execute,
    m.Close.KIND: Schedule._on_close,
    m.Flush.KIND: Schedule._on_flush,
    m.Sync.KIND: Schedule._on_sync,
    m.Query.KIND: Schedule._on_query,
    m.FunctionCall.KIND: Schedule._on_call,
    m.CopyData.KIND: Schedule._on_other,
    m.CopyDone.KIND: Schedule._on_other,
    m.CopyFail.KIND: Schedule._on_other,
    m.Password.KIND: Schedule._on_other,
    m.Terminate.KIND: Schedule._on_other,
}
_RECEIVED: Mapping[int, Callable[[Schedule, Frame, _Owed], None]] = {
    m.DataRow.KIND: Schedule._received_row,
    m.CopyInResponse.KIND: Schedule._received_copy,
    m.CopyOutResponse.KIND: Schedule._received_copy,
    m.CopyBothResponse.KIND: Schedule._received_copy,
    m.CommandComplete.KIND: Schedule._received_completion,
    m.PortalSuspended.KIND: Schedule._received_end,
    m.EmptyQueryResponse.KIND: Schedule._received_end,
    m.ReadyForQuery.KIND: Schedule._received_ready,
}
