"""The proxy with real sessions and with peers that misbehave: nothing hangs, nothing leaks."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
import pytest_asyncio

from harness.errors import UsageError
from harness.wire import (
    CUT,
    CUT_AFTER,
    PROCEED,
    Address,
    Decision,
    Kind,
    Proxy,
    Statement,
    address_of,
    fail_after,
    lead_through,
    refuse,
)
from harness.wire import messages as m
from tests.wire.support import BOUND, Holder, Recorder, proxied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

INSERT = "INSERT INTO sold VALUES (1)"
LOST = (asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError, ConnectionError)


@pytest_asyncio.fixture
async def sold(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A direct connection to a database with an empty table."""
    connection = await asyncpg.connect(database, timeout=10)
    await connection.execute("CREATE TABLE sold (buyer int)")
    yield connection
    await connection.close(timeout=10)


async def _count(connection: asyncpg.Connection) -> int:
    """How many were sold, once every other session of the database is gone."""
    others = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait = f"WHILE EXISTS ({others}) LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP;"
    await connection.execute(f"DO $$ BEGIN {wait} END $$", timeout=BOUND)
    return int(await connection.fetchval("SELECT count(*) FROM sold"))


async def _insert(connection: asyncpg.Connection, *, prepared: bool) -> None:
    arguments = ("INSERT INTO sold VALUES ($1)", 1) if prepared else (INSERT,)
    await connection.execute(*arguments, timeout=BOUND)


def at(moment: str, decision: Decision) -> Callable[[str, Statement], Decision]:
    """Decide so about inserts and commits at one moment, and let everything else through."""

    def decide(now: str, statement: Statement) -> Decision:
        counts = statement.sql.startswith(("INSERT", "COMMIT"))
        return decision if now == moment and counts else PROCEED

    return decide


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize(
    ("moment", "decision", "rows"),
    [("execute", CUT, 0), ("commit", CUT, 0), ("commit", CUT_AFTER, 1), ("execute", CUT_AFTER, 0)],
)
async def test_a_cut_breaks_the_connection_at_its_moment(
    database: str, sold: asyncpg.Connection, moment: str, decision: Decision, rows: int, prepared: bool
) -> None:
    """The client sees a lost connection; what was held has happened, or has not."""
    recorder = Recorder(at(moment, decision))
    async with proxied(database, controller=recorder) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        with pytest.raises(LOST):
            await _insert(connection, prepared=prepared)
    assert await _count(sold) == rows
    assert len(recorder.closed) == 1


@pytest.mark.parametrize(("decision", "rows"), [(CUT, 0), (CUT_AFTER, 1)])
async def test_a_cut_at_the_commit_of_a_transaction(
    database: str, sold: asyncpg.Connection, decision: Decision, rows: int
) -> None:
    """COMMIT is a statement of its own: cut before it, nothing was sold; cut after, one was, unbeknown."""

    def decide(_moment: str, statement: Statement) -> Decision:
        return decision if statement.kind is Kind.COMMIT else PROCEED

    async with proxied(database, controller=Recorder(decide)) as (_, url):
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.execute(INSERT)
        with pytest.raises(psycopg.OperationalError):
            await connection.commit()
        await connection.close()
    assert await _count(sold) == rows


@pytest.mark.parametrize("moment", ["execute", "commit"])
@pytest.mark.parametrize("prepared", [False, True])
async def test_an_error_in_place_of_the_answer(
    database: str, sold: asyncpg.Connection, moment: str, prepared: bool
) -> None:
    """What was held has happened, the client is told of an error, and goes on on the same connection."""
    decisions = iter([fail_after("08006", "the server connection crashed")])

    def decide(now: str, statement: Statement) -> Decision:
        held = now == moment and statement.sql.startswith("INSERT")
        return next(decisions, PROCEED) if held else PROCEED

    async with proxied(database, controller=Recorder(decide)) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        with pytest.raises(asyncpg.ConnectionFailureError, match="the server connection crashed"):
            await _insert(connection, prepared=prepared)
        assert await connection.fetchval("SELECT count(*) FROM sold") == 1
        assert not connection.is_in_transaction()
        await connection.execute(INSERT)
        await connection.close(timeout=10)
    assert await _count(sold) == 2


async def test_an_error_in_place_of_the_answer_to_commit(database: str, sold: asyncpg.Connection) -> None:
    """The transaction is committed, whatever its client was told; the session is ready for the next."""
    decisions = iter([fail_after("08006", "the server connection crashed")])

    def decide(_moment: str, statement: Statement) -> Decision:
        return next(decisions, PROCEED) if statement.kind is Kind.COMMIT else PROCEED

    async with proxied(database, controller=Recorder(decide)) as (_, url):
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.execute(INSERT)
        with pytest.raises(psycopg.OperationalError, match="the server connection crashed"):
            await connection.commit()
        await connection.execute(INSERT)
        await connection.commit()
        await connection.close()
    assert await _count(sold) == 2


@pytest.mark.parametrize("moment", ["execute", "commit"])
async def test_a_refusal_reaches_the_client_and_the_session_goes_on(
    database: str, sold: asyncpg.Connection, moment: str
) -> None:
    """The chosen SQLSTATE arrives, nothing was sold, and the next attempt succeeds."""
    decisions = iter([refuse("40001", "could not serialize access")])

    def decide(now: str, statement: Statement) -> Decision:
        return next(decisions, PROCEED) if now == moment and statement.sql == INSERT else PROCEED

    async with proxied(database, controller=Recorder(decide)) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        with pytest.raises(asyncpg.SerializationError, match="could not serialize access"):
            await connection.execute(INSERT)
        await connection.execute(INSERT)
        await connection.close(timeout=10)
    assert await _count(sold) == 1


async def test_a_refused_commit_leaves_the_client_idle(database: str, sold: asyncpg.Connection) -> None:
    """As if a deferred constraint had failed: rolled back, and ready for the next transaction."""

    def decide(_moment: str, statement: Statement) -> Decision:
        return refuse("40001", "no") if statement.kind is Kind.COMMIT else PROCEED

    async with proxied(database, controller=Recorder(decide)) as (_, url):
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.execute(INSERT)
        with pytest.raises(psycopg.errors.SerializationFailure):
            await connection.commit()
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        await connection.close()
    assert await _count(sold) == 0


async def test_a_refusal_inside_a_transaction_breaks_it(database: str, sold: asyncpg.Connection) -> None:
    """What ran before it is rolled back with it, in Postgres as in the client's view."""
    recorder = Recorder(at("execute", refuse("40P01", "deadlock detected")))
    async with proxied(database, controller=recorder) as (_, url):
        connection = await psycopg.AsyncConnection.connect(url)
        await connection.execute("SELECT count(*) FROM sold")
        for arguments in ((), (1,)):
            with pytest.raises(psycopg.errors.DeadlockDetected):
                await connection.execute(
                    "INSERT INTO sold VALUES (%s)" if arguments else INSERT, arguments or None
                )
            assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR
            await connection.rollback()
        await connection.close()
    assert await _count(sold) == 0


@pytest.mark.parametrize("prepared", [False, True])
async def test_a_deferred_constraint_fails_at_the_commit(
    database: str, sold: asyncpg.Connection, prepared: bool
) -> None:
    """Executed well, finished with the error, and the client sees the error as it always does."""
    await sold.execute("ALTER TABLE sold ADD UNIQUE (buyer) DEFERRABLE INITIALLY DEFERRED")
    await sold.execute(INSERT)
    recorder = Recorder()
    async with proxied(database, controller=recorder) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        with pytest.raises(asyncpg.UniqueViolationError):
            await _insert(connection, prepared=prepared)
        await connection.close(timeout=10)
    told = [entry for entry in recorder.of("INSERT") if entry[0] in ("executed", "finished")]
    assert [entry[2] for entry in told] == ["INSERT 0 1", "23505"]


async def test_a_controller_comes_and_goes_while_sessions_stay_open(
    database: str, sold: asyncpg.Connection
) -> None:
    """Statements prepared out of its sight are known by their text when it comes; setup traffic is not."""
    async with proxied(database) as (proxy, url):
        connection = await asyncpg.connect(url, timeout=10)
        statement = await connection.prepare("INSERT INTO sold VALUES ($1)")
        for buyer in range(3):
            await statement.fetch(buyer)
            recorder = Recorder()
            async with proxy.controlled(recorder):
                assert [session.pid for session in recorder.opened] == [connection.get_server_pid()]
                await statement.fetch(buyer)
            assert [entry[:2] for entry in recorder.log] == [
                (what, "INSERT INTO sold VALUES ($1)")
                for what in ("execute", "executed", "commit", "finished")
            ]
        await connection.close(timeout=10)
    assert await _count(sold) == 6


async def test_what_is_held_goes_on_when_the_controller_leaves(
    database: str, sold: asyncpg.Connection
) -> None:
    """Nobody waits for a controller that is not there any more."""
    async with proxied(database) as (proxy, url):
        connection = await asyncpg.connect(url, timeout=10)
        holder = Holder()
        async with proxy.controlled(holder):
            running = asyncio.create_task(connection.execute(INSERT))
            await holder.wait_for("execute", 1)
        async with asyncio.timeout(BOUND):
            assert await running == "INSERT 0 1"
        await connection.close(timeout=10)
    assert await _count(sold) == 1


async def test_there_is_one_controller_at_a_time(database: str) -> None:
    """Two could never agree on an order."""
    async with proxied(database, controller=Recorder()) as (proxy, _):
        with pytest.raises(RuntimeError, match="controller already"):
            async with proxy.controlled(Recorder()):
                pass


async def test_a_controller_that_raises_is_heard(database: str, sold: asyncpg.Connection) -> None:
    """Its session is cut, and the error comes out where the controller was set."""

    def decide(_moment: str, _statement: Statement) -> Decision:
        raise LookupError("a mistake in the explorer")

    async with proxied(database) as (proxy, url):
        connection = await asyncpg.connect(url, timeout=10)
        controlled = _insert_under(proxy, Recorder(decide), connection)
        with pytest.raises(LookupError, match="a mistake"):
            await controlled
    assert await _count(sold) == 0


async def _insert_under(proxy: Proxy, recorder: Recorder, connection: asyncpg.Connection) -> None:
    async with proxy.controlled(recorder):
        with pytest.raises(LOST):
            await _insert(connection, prepared=False)


async def test_a_client_that_leaves_while_it_is_held_does_not_take_its_statement_along(
    database: str, sold: asyncpg.Connection
) -> None:
    """Postgres runs what it was sent though the client has gone; so it is with what is held."""
    holder = Holder()
    async with proxied(database, controller=holder) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        running = asyncio.create_task(connection.execute(INSERT))
        (session,) = await holder.wait_for("execute", 1)
        connection.terminate()
        with pytest.raises((asyncpg.PostgresError, *LOST)):
            await running
        holder.release("execute", session)
        await holder.wait_for("commit", 1)
        holder.release("commit", session)
        await holder.finished_by(session)
        assert await _count(sold) == 1
    assert [session.id for session in holder.closed] == [session]


async def test_a_backend_that_is_terminated_closes_its_session(
    database: str, sold: asyncpg.Connection
) -> None:
    """The statement that ran is told to be lost, and the client sees the server's last words."""
    holder = Holder()
    async with proxied(database, controller=holder) as (_, url):
        connection = await asyncpg.connect(url, timeout=10)
        running = asyncio.create_task(connection.execute(INSERT))
        (session,) = await holder.wait_for("execute", 1)
        holder.release("execute", session)
        await holder.wait_for("commit", 1)
        await sold.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        async with asyncio.timeout(BOUND):
            with pytest.raises((asyncpg.AdminShutdownError, *LOST)):
                await running
        await holder.finished_by(session)
    assert holder.results[-1][1].lost
    assert await _count(sold) == 0


async def test_the_isolation_level_is_set_for_every_session(database: str) -> None:
    """It is merged with the options that the client asks for."""
    async with proxied(database, isolation="repeatable read") as (_, url):
        for options in ("", "-c statement_timeout=12345"):
            connection = await psycopg.AsyncConnection.connect(url, options=options)
            level = await connection.execute("SHOW transaction_isolation")
            assert await level.fetchone() == ("repeatable read",)
            timeout = await connection.execute("SHOW statement_timeout")
            assert await timeout.fetchone() == ("12345ms" if options else "0",)
            await connection.close()


async def test_a_unix_socket_serves_as_well(database: str, tmp_path: Path) -> None:
    """Named after the port, as libpq expects, and gone afterwards."""
    async with proxied(database, unix_folder=tmp_path) as (proxy, url):
        socket = lead_through(url, Address(str(tmp_path), proxy.address.port))
        assert address_of(socket).socket == str(tmp_path / f".s.PGSQL.{proxy.address.port}")
        async with await psycopg.AsyncConnection.connect(socket) as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    assert not (tmp_path / f".s.PGSQL.{proxy.address.port}").is_socket()


async def test_leaving_the_proxy_breaks_what_is_open(database: str, sold: asyncpg.Connection) -> None:
    """Sessions in any state, held ones among them, are closed at both ends."""
    holder = Holder()
    async with proxied(database, controller=holder) as (proxy, url):
        idle = await asyncpg.connect(url, timeout=10)
        busy = await asyncpg.connect(url, timeout=10)
        running = asyncio.create_task(busy.execute(INSERT))
        await holder.wait_for("execute", 1)
        assert len(proxy.sessions) == 2
    with pytest.raises(LOST):
        await running
    with pytest.raises(LOST):
        await idle.execute("SELECT 1", timeout=BOUND)
    assert proxy.sessions == []
    assert await _count(sold) == 0


# Scripted peers.


@asynccontextmanager
async def fake_server(serve: Serve) -> AsyncIterator[Address]:
    """A server that follows a script, and is then gone."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(BOUND):
                await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let anybody in."""
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    await reader.readexactly(length - 4)
    for message in (m.Authentication(0), m.BackendKeyData(7, b"key!"), m.ReadyForQuery("I")):
        writer.write(message.encode())


async def talk(address: Address, *data: bytes) -> bytes:
    """Send bytes, each piece once the server is ready, and return everything that comes until the end."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        async with asyncio.timeout(BOUND):
            seen = b""
            for piece in data[:-1]:
                writer.write(piece)
                seen += await reader.readuntil(READY)
            writer.write(data[-1])
            return seen + await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


STARTUP = m.Startup({"user": "me"}).encode()
READY = m.ReadyForQuery("I").encode()
LYING = b"D" + struct.pack("!I", 2)


async def _dies_in_a_row(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await login(reader, writer)
    await reader.readexactly(5)
    for message in (m.ParseComplete(), m.BindComplete(), m.RowDescription(())):
        writer.write(message.encode())
    writer.write(m.DataRow((b"x" * 100,)).encode()[:40])


async def _lies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await login(reader, writer)
    await reader.readexactly(5)
    writer.write(LYING)
    await reader.read()


async def _says_nothing_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await login(reader, writer)
    await reader.read()


@pytest.mark.parametrize("controlled", [False, True])
@pytest.mark.parametrize("serve", [_dies_in_a_row, _lies])
async def test_a_server_that_breaks_off_or_lies_ends_the_session(serve: Serve, controlled: bool) -> None:
    """In the middle of a row, or with a length that cannot be: the client's connection ends as well."""
    recorder = Recorder()
    async with (
        fake_server(serve) as upstream,
        Proxy(upstream, controller=recorder if controlled else None) as proxy,
    ):
        seen = await talk(proxy.address, STARTUP, m.Query("SELECT * FROM sold").encode())
    assert READY in seen
    assert len(proxy.troubles) == (serve is _lies)
    if controlled:
        assert [result.lost for _, result in recorder.results] == [True]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"], "does not speak the Postgres protocol"),
        ([STARTUP, b"S" + struct.pack("!I", 3)], "claims 3 bytes"),
        ([STARTUP, b"?" * 5], "unknown type"),
        ([struct.pack("!II", 8, 80877103) + STARTUP], ""),
    ],
)
async def test_a_client_that_speaks_otherwise_is_told_and_closed(data: list[bytes], message: str) -> None:
    """One sentence, as an ErrorResponse, and in the proxy's list of troubles."""
    async with fake_server(_says_nothing_more) as upstream, Proxy(upstream, tls=not message) as proxy:
        seen = await talk(proxy.address, *data)
    assert (message or "unencrypted data").encode() in seen
    assert len(proxy.troubles) == 1


async def test_a_request_for_encryption_is_refused_with_one_byte() -> None:
    """Both kinds, one after the other, on the connection that then starts plainly."""
    async with fake_server(_says_nothing_more) as upstream, Proxy(upstream) as proxy:
        reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
        async with asyncio.timeout(BOUND):
            for code in (80877104, 80877103):
                writer.write(struct.pack("!II", 8, code))
                assert await reader.readexactly(1) == b"N"
            writer.write(STARTUP)
            assert await reader.readexactly(1) == b"R"
        writer.close()


async def test_nobody_behind_the_proxy_is_told_to_the_client() -> None:
    """Where it was looked for, and that nobody answered."""
    async with fake_server(_says_nothing_more) as upstream:
        pass
    async with Proxy(upstream) as proxy:
        seen = await talk(proxy.address, STARTUP)
    assert f"No Postgres answered at {upstream}".encode() in seen


async def test_a_client_that_half_closes_still_gets_its_answer() -> None:
    """Its end of data goes on to the server, whose answer comes back before the end."""

    async def answers_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await login(reader, writer)
        await reader.read()
        writer.write(m.NoticeResponse((("M", "goodbye"),)).encode())

    for controller in (None, Recorder()):
        async with (
            fake_server(answers_at_the_end) as upstream,
            Proxy(upstream, controller=controller) as proxy,
        ):
            reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
            writer.write(STARTUP)
            async with asyncio.timeout(BOUND):
                await reader.readuntil(READY)
                writer.write_eof()
                assert b"goodbye" in await reader.read()
            writer.close()


async def test_a_slow_reader_slows_the_server_down() -> None:
    """What nobody reads is not piled up: the server's writing comes to a halt."""
    written = 0
    halted = asyncio.Event()

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await login(reader, writer)
        row = m.DataRow((b"x" * 1_000_000,)).encode()
        try:
            for _ in range(500):
                writer.write(row)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                written += 1
        except TimeoutError:
            halted.set()
        writer.transport.abort()

    async with fake_server(floods) as upstream, Proxy(upstream) as proxy:
        _, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port, limit=1024)
        writer.write(STARTUP)
        async with asyncio.timeout(BOUND):
            await halted.wait()
        writer.close()
    assert written < 100


def test_addresses_are_read_from_urls_and_put_back() -> None:
    """TCP, Unix sockets in both spellings, and everything else of the URL kept."""
    assert address_of("postgresql://u:p@host:1234/db") == Address("host", 1234)
    assert address_of("postgres:///db?host=/run/pg&port=7").socket == "/run/pg/.s.PGSQL.7"
    assert address_of("postgresql+psycopg://u@%2Frun%2Fpg/db").host == "/run/pg"
    led = lead_through("postgresql://u:p%40@host:1234/db?sslmode=disable&host=x", Address("127.0.0.1", 9))
    assert led == "postgresql://u:p%40@127.0.0.1:9/db?sslmode=disable"


@pytest.mark.parametrize("url", ["mysql://u:secret@host/db", "postgresql://u:secret@host:port/db"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    """The message says what is wrong and holds no secret."""
    with pytest.raises(UsageError) as raised:
        address_of(url)
    assert "secret" not in str(raised.value)


def test_an_sqlstate_has_five_characters() -> None:
    """Anything else would not be an error that a driver understands."""
    for wrong in ("", "4000", "40p01", "40 01"):
        with pytest.raises(ValueError, match="SQLSTATE"):
            refuse(wrong, "no")
