"""Connections that cannot be had, and connections that go away."""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest

from harness.errors import InconclusiveError, UsageError
from harness.postgres import connect, is_connection_lost
from harness.postgres.urls import with_database
from tests.postgres.support import peer, silence, web_server

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server


async def refusal(url: str, *, timeout: float = 10) -> str:
    """Return what is said about a URL that cannot be used, after making sure that it is fit to print."""
    with pytest.raises(UsageError) as caught:
        await connect(url, timeout=timeout)
    text = str(caught.value)
    assert "\n" not in text
    assert "hunter2" not in text
    return text


async def test_a_wrong_password_is_said_to_be_refused(server: Server) -> None:
    """The message says that it is the password, and shows neither the wrong nor the right one."""
    right = urlsplit(server.url("postgres"))
    wrong = server.url("postgres").replace(str(right.password), "hunter2")
    text = await refusal(wrong)
    assert "refused the password" in text
    assert str(right.password) not in text


async def test_an_unknown_database_is_named(server: Server) -> None:
    """The message says that the database is not there, and what to do."""
    text = await refusal(server.url("nowhere"))
    assert 'database "nowhere" does not exist' in text


async def test_a_port_nobody_listens_at_is_told_apart() -> None:
    """A refused connection asks whether Postgres runs."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            assert "nobody listens there" in await refusal(f"postgresql://u:hunter2@{host}:{port}/db")


async def test_a_socket_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    """A Unix socket's folder without a socket is named as the trouble."""
    assert "no such socket" in await refusal(f"postgresql://u:hunter2@/db?host={tmp_path}")


async def test_a_host_that_cannot_be_resolved_is_told_apart() -> None:
    """A host name nobody knows is named as the trouble."""
    assert "cannot be resolved" in await refusal("postgresql://u:hunter2@no-such-host.invalid/db")


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Accepting and then saying nothing is bounded by the time-out."""
    async with peer(silence) as port:
        text = await refusal(f"postgresql://u:hunter2@127.0.0.1:{port}/db", timeout=0.3)
    assert "no answer within 0.3 s" in text


async def test_something_that_is_no_postgres_is_refused() -> None:
    """A web server at that port gets one line, not a traceback."""
    async with peer(web_server) as port:
        await refusal(f"postgresql://u:hunter2@127.0.0.1:{port}/db", timeout=2)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@h/db",
        "postgresql+asyncpg://u:hunter2@h/db",
        "postgresql://u:hunter2/x@h/db",
        "postgresql://u:hunter2@h:port/db",
        "postgresql://u:hunter2@[::1/db",
        "postgresql://u:hunter2@h/db?sslmode=perhaps",
        "postgresql://u:hunter2@h/db?nonsense",
    ],
)
async def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    """What cannot be read is refused in one line that does not quote the password."""
    await refusal(url)


async def test_a_url_may_name_a_unix_socket_or_no_database_at_all(server: Server) -> None:
    """Both schemes, sockets and left-out parts work as they do in libpq."""
    parts = urlsplit(server.url("postgres"))
    connection = await connect(server.url("postgres"))
    folder = await connection.fetchval("SHOW unix_socket_directories")
    await connection.close()
    who = f"{parts.username}:{parts.password}"
    for url in (
        f"postgres://{who}@/postgres?host={folder}&port={parts.port}",
        f"postgresql://{who}@127.0.0.1:{parts.port}",
        f"postgresql:///?host=127.0.0.1&port={parts.port}&user={parts.username}&password={parts.password}",
        f"{server.url('postgres')}&connect_timeout=5&application_name={secrets.token_hex(4)}",
    ):
        connection = await connect(url)
        assert await connection.fetchval("SELECT current_database()") == "postgres"
        await connection.close()


async def test_an_ended_session_is_a_lost_connection(database: str) -> None:
    """What a client sees when the server ends its session counts as lost."""
    ours, other = await connect(database), await connect(database)
    await other.execute("SELECT pg_terminate_backend($1, 10000)", ours.get_server_pid())
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)) as caught:
        await ours.execute("SELECT 1")
    assert is_connection_lost(caught.value)
    with pytest.raises(asyncpg.InterfaceError) as again:
        await ours.execute("SELECT 1")
    assert is_connection_lost(again.value)
    await other.close()


async def test_a_server_that_is_gone_is_a_lost_connection() -> None:
    """Connecting in vain counts as lost, however it was wrapped."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        with pytest.raises(UsageError) as caught:
            await connect(f"postgresql://u@127.0.0.1:{holder.getsockname()[1]}/db")
    wrapped = InconclusiveError("the run ended")
    wrapped.__cause__ = caught.value
    assert is_connection_lost(wrapped)


async def test_a_refused_statement_is_no_lost_connection(database: str) -> None:
    """Errors about what was asked, time-outs and wrong passwords are not the connection's."""
    connection = await connect(database)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await connection.execute("SELECT 1/0")
    assert not is_connection_lost(caught.value)
    with pytest.raises(TimeoutError) as slow:
        async with asyncio.timeout(0.05):
            await connection.execute("SELECT pg_sleep(60)")
    assert not is_connection_lost(slow.value)
    await connection.close()
    with pytest.raises(UsageError) as unknown:
        await connect(with_database(database, "nowhere"))
    assert not is_connection_lost(unknown.value)
