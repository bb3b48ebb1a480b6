"""The session table, and what is learnt from the few messages that pass-through looks at."""

from __future__ import annotations

import itertools

import pytest

from harness.wire import messages as m
from harness.wire.framing import BACKEND_LIMITS, FRONTEND_LIMITS, Frame, Framer, ProtocolError, Side
from harness.wire.session import PASS_BACKEND, PASS_FRONTEND, TRANSITIONS, Phase, Session


class Watched:
    """A session with the two framers that feed it in pass-through."""

    def __init__(self) -> None:
        self.session = Session(1, {"user": "me", "application_name": "shop"})
        self._front = Framer(Side.FRONTEND, PASS_FRONTEND)
        self._back = Framer(Side.BACKEND, PASS_BACKEND)

    def client(self, *messages: m.Message) -> Watched:
        return self._feed(Side.FRONTEND, self._front, messages)

    def server(self, *messages: m.Message) -> Watched:
        return self._feed(Side.BACKEND, self._back, messages)

    @property
    def at_rest(self) -> bool:
        return self.session.at_rest(self._front.last)

    def _feed(self, side: Side, framer: Framer, messages: tuple[m.Message, ...]) -> Watched:
        for frame in framer.feed(b"".join(message.encode() for message in messages)):
            self.session.observe(side, frame)
        return self


def ready() -> Watched:
    """A session that has logged in with a password."""
    watched = Watched().server(m.Authentication(5, b"salt")).client(m.Password(b"md5\0"))
    watched.server(m.Authentication(0), m.ParameterStatus("a", "b"), m.BackendKeyData(7, b"key!"))
    return watched.server(m.ReadyForQuery("I"))


@pytest.mark.parametrize("phase", Phase)
def test_what_the_table_does_not_have_is_an_error(phase: Phase) -> None:
    """For every phase, each message either leads somewhere by the table or raises."""
    for side, kinds in ((Side.FRONTEND, FRONTEND_LIMITS), (Side.BACKEND, BACKEND_LIMITS)):
        for kind in kinds:
            session = Session(1, {})
            session.phase = phase
            if (phase, side, kind) in TRANSITIONS:
                session.step(side, kind)
                assert session.phase is TRANSITIONS[phase, side, kind]
            else:
                with pytest.raises(ProtocolError, match=phase.name.lower()):
                    session.step(side, kind)


def test_every_phase_is_reachable() -> None:
    """From opening, and from starting (entered by authentication code 0), the table leads everywhere."""
    reached = {Phase.OPENING, Phase.STARTING}
    for _ in Phase:
        reached |= {to for (phase, _, _), to in TRANSITIONS.items() if phase in reached}
    assert reached == set(Phase)


def test_a_login_ends_at_rest_with_process_and_secret_known() -> None:
    """The server's key is what a cancel request will carry."""
    watched = ready()
    assert watched.at_rest
    assert (watched.session.pid, watched.session.secret) == (7, b"key!")
    assert watched.session.info.application_name == "shop"
    assert watched.session.info.database == "me"


def test_a_query_before_authentication_is_an_error() -> None:
    """A client cannot speak SQL before the server knows it."""
    with pytest.raises(ProtocolError, match="while authenticating"):
        Watched().server(m.Authentication(5, b"salt")).client(m.Query("SELECT 1"))


def test_a_session_is_at_rest_when_every_pipeline_was_answered() -> None:
    """Two pipelined Syncs need two answers, and an open pipeline is no rest."""
    watched = ready().client(m.Execute(), m.Sync(), m.Execute(), m.Sync())
    assert watched.session.outstanding == 2
    assert not watched.server(m.ReadyForQuery("I")).at_rest
    assert watched.server(m.ReadyForQuery("I")).at_rest
    assert not watched.client(m.Execute(), m.Flush()).at_rest
    assert not watched.server(m.CommandComplete("SELECT 1")).at_rest
    assert watched.client(m.Sync()).server(m.ReadyForQuery("I")).at_rest


def test_a_statement_exists_once_it_was_parsed() -> None:
    """Texts are noted in the order of the answers; an error forgets those up to the next Sync only."""
    watched = ready().client(m.Parse("a", "A"), m.Parse("b", "B"), m.Sync(), m.Parse("c", "C"), m.Sync())
    watched.server(m.ParseComplete(), m.ErrorResponse.make("42601", "no"), m.ReadyForQuery("I"))
    watched.server(m.ParseComplete(), m.ReadyForQuery("I"))
    assert watched.session.prepared == {"a": "A", "c": "C"}
    watched.client(m.Close("S", "a"), m.Sync())
    assert watched.session.prepared == {"c": "C"}


def test_a_sync_that_the_server_ignored_is_not_waited_for() -> None:
    """libpq sends a Sync before it knows that it copies, and another after its data; one is answered."""
    watched = ready().client(m.Parse("", "COPY t FROM STDIN"), m.Bind("", ""), m.Execute(), m.Sync())
    watched.server(m.ParseComplete(), m.BindComplete(), m.CopyInResponse(b"\0\0\0"))
    watched.client(m.CopyData(b"1\n"), m.CopyDone(), m.Sync())
    assert watched.server(m.CommandComplete("COPY 1"), m.ReadyForQuery("I")).at_rest


def test_a_query_that_copies_is_answered_once() -> None:
    """The end of its data does not take the Query off the account."""
    watched = ready().client(m.Query("COPY t FROM STDIN")).server(m.CopyInResponse(b"\0\0\0"))
    assert not watched.client(m.CopyData(b"1\n"), m.CopyDone()).at_rest
    assert watched.server(m.CommandComplete("COPY 1"), m.ReadyForQuery("I")).at_rest


def test_isolation_that_keeps_snapshots_is_noticed_wherever_it_is_said() -> None:
    """In a startup option, or in a statement that was prepared."""
    assert Session(1, {"options": "-c default_transaction_isolation=serializable"}).keeps_snapshots
    watched = ready()
    assert not watched.session.keeps_snapshots
    watched.client(m.Parse("", "BEGIN ISOLATION LEVEL SERIALIZABLE"), m.Sync()).server(m.ParseComplete())
    assert watched.session.keeps_snapshots


def test_replication_connections_are_told_apart() -> None:
    """They are never scheduled."""
    assert Session(1, {"replication": "database"}).replicating
    assert not Session(1, {"replication": "off"}).replicating
    assert not Session(1, {}).replicating


def test_every_message_of_a_table_has_its_side() -> None:
    """Types are shared between the sides; the table keeps them apart."""
    sides = {side for _, side, _ in TRANSITIONS}
    assert sides == set(Side)
    for side, kind in itertools.product(Side, b"D"):
        session = Session(1, {})
        session.phase = Phase.READY
        session.observe(side, Frame(kind, b""))
        assert session.phase is Phase.READY
