"""The schedule against a scripted server: what leaves when, what is announced, what comes back."""

from __future__ import annotations

import pytest

from harness.wire import CUT, CUT_AFTER, PROCEED, Kind, Statement, refuse
from harness.wire import messages as m
from harness.wire.framing import Framer, Handling, ProtocolError, Side, handle
from harness.wire.schedule import BACKEND, FRONTEND, Executed, Finished, Moment, Schedule
from harness.wire.session import Phase, Session

INSERT = "INSERT INTO sold VALUES (1)"
PARSED, BOUND, NO_DATA, CLOSED = m.ParseComplete(), m.BindComplete(), m.NoData(), m.CloseComplete()
DONE, IDLE, IN_BLOCK, BROKEN = m.CommandComplete("INSERT 0 1"), *map(m.ReadyForQuery, "ITE")
FAILED = m.ErrorResponse.make("23505", "duplicate")
EXECUTE = (m.Parse("", INSERT), m.Bind("", ""), m.Describe("P", ""), m.Execute())
ANSWERS = (PARSED, BOUND, NO_DATA, DONE)


class Stage:
    """A schedule between a scripted client and a scripted server."""

    def __init__(self, status: str = "I", **parameters: str) -> None:
        self.session = Session(1, parameters)
        self.session.phase, self.session.status = Phase.READY, status
        self.schedule = Schedule(self.session)
        self.events: list[Executed | Finished] = []
        self._front, self._back = Framer(Side.FRONTEND, FRONTEND), Framer(Side.BACKEND, BACKEND)

    def client(self, *messages: m.Message) -> list[m.Message]:
        """The client sends; return what then goes to the server."""
        for frame in self._front.feed(b"".join(message.encode() for message in messages)):
            self.schedule.client_sent(frame)
        return self.to_server()

    def server(self, *messages: m.Message) -> list[m.Message]:
        """The server sends; return what then goes to the client."""
        for frame in self._back.feed(b"".join(message.encode() for message in messages)):
            self.schedule.server_sent(frame)
        self.events += self.schedule.take_events()
        return self.to_client()

    def proceed(self, moment: Moment = Moment.BEFORE_EXECUTE) -> list[m.Message]:
        """Release the point, which must be of this moment; return what then goes to the server."""
        assert self.point.moment is moment
        self.schedule.decide(PROCEED)
        return self.to_server()

    def to_server(self) -> list[m.Message]:
        return _messages(Side.FRONTEND, self.schedule.take_to_server())

    def to_client(self) -> list[m.Message]:
        self.events += self.schedule.take_events()
        return _messages(Side.BACKEND, self.schedule.take_to_client())

    @property
    def point(self):  # type: ignore[no-untyped-def]  # a Point, once it is known to be there
        assert self.schedule.point is not None
        return self.schedule.point

    @property
    def statement(self) -> Statement:
        """The statement that is held."""
        held: Statement = self.point.statement
        return held

    def told(self) -> list[tuple[str, tuple[str, ...], str | None, str | None]]:
        """What was told, in order: event, tags, error, transaction status."""
        return [
            (type(event).__name__, event.result.tags, event.result.sqlstate, event.result.status)
            for event in self.events
        ]


def _messages(side: Side, data: bytes) -> list[m.Message]:
    frames = Framer(side, handle(side, Handling.WHOLE)).feed(data)
    return [message for frame in frames if (message := m.decode(side, frame)) is not None]


def test_execute_and_commit_are_two_moments() -> None:
    """Nothing leaves before the first decision, no Sync before the second, no answer before both."""
    stage = Stage()
    assert stage.client(*EXECUTE, m.Sync()) == []
    assert (stage.statement.sql, stage.statement.kind, stage.statement.in_transaction) == (
        INSERT,
        Kind.DATA,
        False,
    )
    assert stage.proceed() == [*EXECUTE, m.Flush()]
    assert stage.server(*ANSWERS) == [PARSED, BOUND, NO_DATA]
    assert stage.told() == [("Executed", ("INSERT 0 1",), None, None)]
    assert stage.proceed(Moment.BEFORE_COMMIT) == [m.Sync()]
    assert stage.server(IDLE) == [DONE, IDLE]
    assert stage.told()[1:] == [("Finished", ("INSERT 0 1",), None, "I")]
    assert stage.schedule.at_rest


def test_a_commit_that_fails_is_told_when_it_does() -> None:
    """Deferred constraints: executed well, finished with an error, and the client sees both as usual."""
    stage = Stage()
    stage.client(*EXECUTE, m.Sync())
    stage.proceed()
    stage.server(*ANSWERS)
    stage.proceed(Moment.BEFORE_COMMIT)
    assert stage.server(FAILED, IDLE) == [DONE, FAILED, IDLE]
    assert stage.told() == [
        ("Executed", ("INSERT 0 1",), None, None),
        ("Finished", ("INSERT 0 1",), "23505", "I"),
    ]


def test_a_simple_query_is_rewritten_and_its_answer_translated_back() -> None:
    """The client sees what a Query gives: no ParseComplete, BindComplete, NoData or CloseComplete."""
    stage = Stage()
    stage.client(m.Query(INSERT))
    assert not stage.statement.coarse
    assert stage.proceed() == [*EXECUTE, m.Flush()]
    assert stage.server(*ANSWERS) == []
    assert stage.proceed(Moment.BEFORE_COMMIT) == [m.Close("S", ""), m.Sync()]
    assert stage.server(CLOSED, IDLE) == [DONE, IDLE]


def test_a_rewritten_query_whose_commit_fails_never_completed() -> None:
    """In the simple protocol no CommandComplete comes before a failed commit."""
    stage = Stage()
    stage.client(m.Query(INSERT))
    stage.proceed()
    stage.server(*ANSWERS)
    stage.proceed(Moment.BEFORE_COMMIT)
    assert stage.server(CLOSED, FAILED, IDLE) == [FAILED, IDLE]


def test_a_rewritten_query_that_fails_is_synced_without_another_decision() -> None:
    """There is nothing to commit."""
    stage = Stage()
    stage.client(m.Query("SELECT * FROM nowhere"))
    stage.proceed()
    assert stage.server(FAILED) == [FAILED]
    assert stage.to_server() == [m.Sync()]
    assert stage.server(IDLE) == [IDLE]
    assert stage.told() == [("Executed", (), "23505", None), ("Finished", (), "23505", "I")]


def test_rows_pass_at_once_and_are_counted() -> None:
    """Only the end of the answer waits for the commit."""
    stage = Stage()
    stage.client(m.Query("SELECT id FROM sold"))
    stage.proceed()
    columns, row = m.RowDescription(()), m.DataRow((b"1",))
    assert stage.server(PARSED, BOUND, columns, row, row, m.CommandComplete("SELECT 2")) == [
        columns,
        row,
        row,
    ]
    assert stage.events[0].result.rows == 2


@pytest.mark.parametrize(
    ("text", "coarse"),
    [
        ("UPDATE a SET x = 1; UPDATE b SET x = 1", True),
        ("SET x = 1; UPDATE a SET x = 1", True),
        ("BEGIN; UPDATE a SET x = 1", False),
        ("BEGIN; UPDATE a SET x = 1; COMMIT", True),
        ("COPY a FROM STDIN", True),
        ("CREATE TABLE a ()", True),
        ("VACUUM a", True),
        ("CALL buy()", True),
        ("SELECT $1", False),
        ("SELECT buy($1)", True),
        ("COMMIT", False),
        (INSERT, False),
    ],
)
def test_what_cannot_be_held_apart_is_coarse(text: str, coarse: bool) -> None:
    """Several statements, or execution and commit, in one message; outside of a transaction."""
    stage = Stage()
    stage.client(m.Query(text))
    held = stage.schedule.point
    assert (held.statement.coarse if held else False) is coarse


def test_inside_a_transaction_one_statement_is_never_coarse() -> None:
    """Its commit is a statement of its own, so it goes as the Query it is."""
    stage = Stage("T")
    stage.client(m.Query(INSERT))
    assert (stage.statement.coarse, stage.statement.in_transaction) == (False, True)
    assert stage.proceed() == [m.Query(INSERT)]
    assert stage.server(DONE, IN_BLOCK) == [DONE, IN_BLOCK]
    stage.client(m.Query("COMMIT"))
    assert (stage.statement.kind, stage.point.moment) == (Kind.COMMIT, Moment.BEFORE_EXECUTE)


@pytest.mark.parametrize(
    "text", ["BEGIN", "SET x = 1", "SELECT 1", "RESET ALL", "SAVEPOINT a", "LISTEN news", ""]
)
def test_what_matters_to_nobody_passes_at_once(text: str) -> None:
    """Settings, resets and beginnings are told of, not asked about."""
    stage = Stage()
    assert stage.client(m.Query(text)) == [m.Query(text)]
    done = m.CommandComplete("SET")
    assert stage.server(done, IDLE) == [done, IDLE]
    assert [event[0] for event in stage.told()] == ["Executed", "Finished"]


def test_in_a_failed_transaction_nothing_is_worth_holding() -> None:
    """Its locks went with the error, and the server refuses all but the end."""
    stage = Stage("E")
    assert stage.client(m.Query(INSERT)) == [m.Query(INSERT)]
    stage.server(FAILED, BROKEN)
    assert stage.client(m.Query("ROLLBACK")) == [m.Query("ROLLBACK")]


def test_a_harmless_select_is_held_where_it_would_take_the_snapshot() -> None:
    """Under REPEATABLE READ even SELECT 1 decides what its transaction will see."""
    stage = Stage("T", options="-c default_transaction_isolation=repeatable\\ read")
    stage.client(m.Query("SELECT 1"))
    assert stage.statement.kind is Kind.SETTING
    outside = Stage("I", options="-c default_transaction_isolation=serializable")
    assert outside.client(m.Query("SELECT 1")) == [m.Query("SELECT 1")]


def test_a_pipeline_commits_once() -> None:
    """Each Execute is a point when the one before has run; one Sync commits both."""
    stage = Stage()
    stage.client(*EXECUTE, *EXECUTE, m.Sync())
    assert stage.proceed() == [*EXECUTE, m.Flush()]
    assert stage.schedule.point is None
    stage.server(*ANSWERS)
    assert stage.statement.number == 2
    stage.proceed()
    assert stage.server(*ANSWERS) == []
    assert stage.proceed(Moment.BEFORE_COMMIT) == [m.Sync()]
    assert stage.server(IDLE) == [DONE, *ANSWERS, IDLE]
    assert [event[0] for event in stage.told()] == ["Executed", "Executed", "Finished", "Finished"]


def test_after_a_failure_the_rest_of_the_pipeline_is_neither_announced_nor_sent() -> None:
    """The server would skip it; the Sync goes without a decision, and rolls the first statement back."""
    stage = Stage()
    stage.client(*EXECUTE, *EXECUTE, *EXECUTE, m.Sync())
    stage.proceed()
    stage.server(*ANSWERS)
    stage.proceed()
    assert stage.server(PARSED, BOUND, NO_DATA, FAILED) == []
    assert stage.schedule.point is None
    assert stage.to_server() == [m.Sync()]
    assert stage.server(IDLE)[-2:] == [FAILED, IDLE]
    assert [event for event in stage.told() if event[0] == "Finished"] == [
        ("Finished", ("INSERT 0 1",), "23505", "I"),
        ("Finished", (), "23505", "I"),
    ]


def test_a_transaction_in_a_pipeline_commits_by_its_commit() -> None:
    """BEGIN, INSERT, COMMIT and one Sync: the tags say that the Sync commits nothing."""
    stage = Stage()
    for text in ("BEGIN", INSERT, "COMMIT"):
        stage.client(m.Parse("", text), m.Bind("", ""), m.Execute())
    stage.client(m.Sync())
    stage.server(PARSED, BOUND, m.CommandComplete("BEGIN"))
    assert stage.statement.in_transaction
    stage.proceed()
    stage.server(PARSED, BOUND, DONE)
    assert stage.statement.kind is Kind.COMMIT
    stage.proceed()
    stage.server(PARSED, BOUND, m.CommandComplete("COMMIT"))
    assert stage.schedule.point is None
    assert stage.to_server() == [m.Sync()]


def test_rollback_to_a_savepoint_leaves_the_transaction_open() -> None:
    """Its tag is that of ROLLBACK; its text tells them apart until ReadyForQuery does."""
    stage = Stage("T")
    stage.client(m.Parse("", "ROLLBACK TO a"), m.Bind("", ""), m.Execute(), *EXECUTE, m.Sync())
    stage.proceed()
    stage.server(PARSED, BOUND, m.CommandComplete("ROLLBACK"))
    assert stage.statement.in_transaction


def test_a_client_that_flushes_has_its_answer_before_the_commit() -> None:
    """pg8000 sends Execute, Flush and Sync apart; the commit is still held."""
    stage = Stage()
    stage.client(*EXECUTE, m.Flush())
    stage.proceed()
    assert stage.server(*ANSWERS) == list(ANSWERS)
    assert stage.schedule.point is None
    assert not stage.schedule.at_rest
    assert stage.client(m.Sync()) == []
    assert stage.proceed(Moment.BEFORE_COMMIT) == [m.Sync()]
    assert stage.server(IDLE) == [IDLE]
    assert stage.schedule.at_rest


@pytest.mark.parametrize("end", [m.Flush(), m.Sync()])
def test_preparing_is_not_a_point(end: m.Message) -> None:
    """Parse and Describe go through at once, however the driver asks for their answers."""
    stage = Stage()
    sent = stage.client(m.Parse("s", "SELECT $1 FROM sold"), m.Describe("S", "s"), end)
    assert [message for message in sent if message != m.Flush()][:2] == [
        m.Parse("s", "SELECT $1 FROM sold"),
        m.Describe("S", "s"),
    ]
    assert stage.server(PARSED, NO_DATA) == [PARSED, NO_DATA]
    if end == m.Flush():
        stage.client(m.Bind("", "s"), m.Execute(), m.Sync())
        assert stage.statement.sql == "SELECT $1 FROM sold"
    else:
        assert stage.to_server() == [m.Sync()]
        assert stage.server(IDLE) == [IDLE]
        assert stage.schedule.at_rest


def test_a_parse_leaves_together_with_what_needs_it() -> None:
    """It takes a snapshot, so it must not be older than the decision."""
    stage = Stage()
    assert stage.client(m.Parse("s", INSERT), m.Bind("", "s"), m.Execute()) == []
    assert stage.proceed()[0] == m.Parse("s", INSERT)


def test_a_parse_that_fails_leaves_what_was_there() -> None:
    """The text of a statement is the one the server has."""
    stage = Stage()
    stage.session.prepared["s"] = INSERT
    stage.client(m.Parse("s", "SELECT 2"), m.Sync())
    stage.server(m.ErrorResponse.make("42P05", "exists"))
    assert stage.session.prepared == {"s": INSERT}


def test_a_portal_with_a_row_limit_goes_on_as_a_statement_of_its_own() -> None:
    """Suspended, then resumed in another pipeline of the transaction."""
    stage = Stage("T")
    stage.client(m.Parse("", "SELECT * FROM sold"), m.Bind("p", ""), m.Execute("p", 1), m.Sync())
    stage.proceed()
    stage.server(PARSED, BOUND, m.DataRow((b"1",)), m.PortalSuspended(), IN_BLOCK)
    assert stage.events[0].result.suspended
    stage.client(m.Execute("p", 1), m.Sync())
    assert (stage.statement.sql, stage.statement.number) == ("SELECT * FROM sold", 2)


def test_a_portal_bound_in_one_pipeline_is_executed_in_another() -> None:
    """asyncpg's cursors: the Bind takes the snapshot and is a point, the later Execute is another."""
    stage = Stage("T")
    stage.client(m.Parse("", "SELECT * FROM sold"), m.Bind("p", ""), m.Sync())
    stage.proceed()
    stage.server(PARSED, BOUND)
    stage.server(IN_BLOCK)
    assert [event[0] for event in stage.told()] == ["Executed", "Finished"]
    stage.client(m.Execute("p", 2), m.Sync())
    assert stage.statement.number == 2


def test_copy_in_by_the_extended_protocol() -> None:
    """The Sync sent before the server asked for data is ignored, as by the server; the next commits."""
    stage = Stage()
    asks, data = m.CopyInResponse(b"\0\0\0"), m.CopyData(b"1\n")
    stage.client(m.Parse("", "COPY sold FROM STDIN"), m.Bind("", ""), m.Execute(), m.Sync())
    assert stage.statement.kind is Kind.COPY
    stage.proceed()
    assert stage.server(PARSED, BOUND, asks) == [PARSED, BOUND, asks]
    assert stage.to_server() == []
    assert stage.client(data) == [data]
    assert stage.client(m.CopyDone(), m.Sync()) == [m.CopyDone(), m.Flush()]
    assert stage.server(m.CommandComplete("COPY 1")) == []
    assert stage.proceed(Moment.BEFORE_COMMIT) == [m.Sync()]


def test_a_function_call_is_coarse() -> None:
    """An old sub-protocol that executes and commits in one message."""
    stage = Stage()
    stage.client(m.FunctionCall(b"..."))
    assert (stage.statement.coarse, stage.statement.kind) == (True, Kind.UNKNOWN)
    assert stage.proceed() == [m.FunctionCall(b"...")]


def test_a_statement_prepared_out_of_sight_is_held() -> None:
    """Unknown means conflicting."""
    stage = Stage()
    stage.client(m.Bind("", "mystery"), m.Execute(), m.Sync())
    assert (stage.statement.kind, stage.statement.sql) == (Kind.UNKNOWN, "")
    stage.proceed()
    stage.server(BOUND, m.CommandComplete("COMMIT"))
    assert stage.events[0].result.kind is Kind.COMMIT


def test_a_refusal_before_execution_is_an_error_of_the_server() -> None:
    """Postgres is made to fail, so that its transaction is where the client believes it to be."""
    stage = Stage("T")
    stage.client(*EXECUTE, m.Sync())
    stage.schedule.decide(refuse("40P01", "deadlock detected"))
    sent = stage.to_server()
    assert m.Bind("", "") not in sent
    assert stage.server(PARSED, m.ErrorResponse.make("42601", "syntax error")) == [
        PARSED,
        m.ErrorResponse.make("40P01", "deadlock detected"),
    ]
    assert stage.to_server() == [m.Sync()]
    assert stage.server(BROKEN) == [BROKEN]
    assert [event[2] for event in stage.told()] == ["40P01", "40P01"]


def test_a_refused_commit_of_a_transaction_leaves_none_behind() -> None:
    """As when Postgres refuses it: rolled back, idle, and no sign of our ROLLBACK."""
    stage = Stage("T")
    stage.client(m.Query("COMMIT"))
    stage.schedule.decide(refuse("40001", "could not serialize"))
    assert "ROLLBACK" in [getattr(message, "sql", "") for message in stage.to_server()]
    stage.server(PARSED, BOUND, m.CommandComplete("ROLLBACK"), CLOSED)
    assert stage.server(FAILED) == [m.ErrorResponse.make("40001", "could not serialize")]
    assert stage.to_server() == [m.Sync()]
    assert stage.server(IDLE) == [IDLE]


@pytest.mark.parametrize("simple", [True, False])
def test_a_refused_commit_of_a_statement_rolls_it_back(simple: bool) -> None:
    """It ran, it is told that it failed, and nothing of it remains."""
    stage = Stage()
    stage.client(*([m.Query(INSERT)] if simple else [*EXECUTE, m.Sync()]))
    stage.proceed()
    stage.server(*ANSWERS)
    stage.schedule.decide(refuse("40001", "could not serialize"))
    assert m.Sync() not in stage.to_server()
    refused = m.ErrorResponse.make("40001", "could not serialize")
    seen = stage.server(FAILED)
    assert stage.to_server() == [m.Sync()]
    assert seen + stage.server(IDLE) == ([] if simple else [DONE]) + [refused, IDLE]
    assert stage.told()[-1] == ("Finished", ("INSERT 0 1",), "40001", "I")


def test_a_cut_sends_nothing_more() -> None:
    """Before execution and before commit: both connections are to be broken, nothing else leaves."""
    for held_at in (Moment.BEFORE_EXECUTE, Moment.BEFORE_COMMIT):
        stage = Stage()
        stage.client(*EXECUTE, m.Sync())
        if held_at is Moment.BEFORE_COMMIT:
            stage.proceed()
            stage.server(*ANSWERS)
        stage.schedule.decide(CUT)
        assert stage.schedule.cut
        assert stage.to_server() == []
        stage.to_client()
        assert [event.result.lost for event in stage.events if isinstance(event, Finished)] == (
            [True] if held_at is Moment.BEFORE_COMMIT else []
        )


def test_a_cut_after_the_commit_keeps_the_answer_from_the_client() -> None:
    """It is committed, finished is told so, and the client never hears of it."""
    stage = Stage()
    stage.client(m.Query(INSERT))
    stage.proceed()
    stage.server(*ANSWERS)
    stage.schedule.decide(CUT_AFTER)
    assert m.Sync() in stage.to_server()
    assert not stage.schedule.cut
    assert stage.server(CLOSED, IDLE) == []
    assert stage.schedule.cut
    assert stage.told()[-1] == ("Finished", ("INSERT 0 1",), None, "I")


def test_news_pass_at_any_time() -> None:
    """Notices, notifications and settings are not answers."""
    stage = Stage()
    news = m.NotificationResponse(1, "news", "hello")
    assert stage.server(news) == [news]
    stage.client(m.Query(INSERT))
    assert stage.server(news) == [news]


def test_an_answer_to_nothing_is_a_protocol_error() -> None:
    """The table of answers has no entry for it."""
    with pytest.raises(ProtocolError, match="nothing was to be answered"):
        Stage().server(DONE)
    stage = Stage()
    stage.client(m.Query(INSERT))
    stage.proceed()
    with pytest.raises(ProtocolError, match="parse was to be answered"):
        stage.server(DONE)


def test_a_lost_connection_is_told_for_what_was_begun() -> None:
    """Nobody will ever know what became of it."""
    stage = Stage()
    stage.client(m.Query(INSERT))
    stage.proceed()
    stage.schedule.lost()
    stage.to_client()
    assert [event.result.lost for event in stage.events] == [True]


def test_there_is_nothing_to_decide_without_a_point() -> None:
    """A decision that comes too late is a mistake of the caller."""
    with pytest.raises(RuntimeError):
        Stage().schedule.decide(PROCEED)


def test_answers_are_not_kept_back_without_limit() -> None:
    """A pipeline whose rows exceed 64 kB behind a held completion is answered early, as Postgres would."""
    stage = Stage()
    stage.client(*EXECUTE, *EXECUTE, m.Sync())
    stage.proceed()
    stage.server(*ANSWERS)
    stage.proceed()
    seen = stage.server(PARSED, BOUND, NO_DATA, m.DataRow((b"x" * 70_000,)))
    assert seen[0] == DONE
    assert isinstance(seen[-1], m.DataRow)
