"""A server named by URL: what is refused, and that refusing touches nothing."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from harness.errors import UsageError
from harness.postgres import connect, provision, quote_identifier
from harness.postgres.server import MARKER
from tests.postgres.support import LIMIT, child, peer, postgres_9_6, silence
from tests.postgres.test_server import databases, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.postgres import Server

WAYS_TO_BE_INHABITED = [
    "CREATE TABLE orders (id int)",
    "CREATE SCHEMA shop; CREATE VIEW shop.open AS SELECT 1 AS one",
    "CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42'",
    "CREATE TYPE mood AS ENUM ('good')",
    "CREATE SEQUENCE numbers",
]


@contextlib.asynccontextmanager
async def role(server: Server, options: str) -> AsyncIterator[str]:
    """Make a user; yield its URL for the ``postgres`` database."""
    name, password = f"user_{secrets.token_hex(4)}", secrets.token_hex(8)
    admin = await connect(server.url("postgres"))
    await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' {options}")
    try:
        parts = urlsplit(server.url("postgres"))
        yield f"postgresql://{name}:{password}@127.0.0.1:{parts.port}/postgres"
    finally:
        await admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await admin.close()


async def execute(url: str, statement: str) -> None:
    connection = await connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_an_empty_database_is_used_by_working_beside_it(server: Server, database: str) -> None:
    """Databases are made next to the named one, which stays empty, and all are dropped at exit."""
    before = set(await databases(server))
    async with provision(database) as given:
        assert given.kind == "url"
        assert given.version == server.version
        assert str(urlsplit(database).password) not in given.description
        template = await given.create_template(lambda url: execute(url, "CREATE TABLE t ()"))
        async with given.clone(template, "one") as url:
            assert await name_of(url) in set(await databases(server)) - before
    assert set(await databases(server)) == before
    async with provision(database):
        pass


@pytest.mark.parametrize("statement", WAYS_TO_BE_INHABITED)
async def test_a_database_somebody_lives_in_is_refused(server: Server, statement: str) -> None:
    """Tables, views, functions, types and sequences each make a database somebody's."""
    async with foreign(server) as url:
        await execute(url, statement)
        before = set(await databases(server))
        with pytest.raises(UsageError, match=r"is not empty \(it holds .*nothing was touched") as caught:
            async with provision(url):
                pass
        assert str(urlsplit(url).password) not in str(caught.value)
        assert set(await databases(server)) == before
        async with provision(url, disposable=True) as given, given.empty("allowed") as clone:
            assert await name_of(clone)


@contextlib.asynccontextmanager
async def foreign(server: Server) -> AsyncIterator[str]:
    """Make a database that is not marked as ours; yield its URL."""
    name = f"shop_{secrets.token_hex(4)}"
    await execute(server.url("postgres"), f"CREATE DATABASE {name}")
    try:
        yield server.url(name)
    finally:
        await execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


async def test_what_an_extension_brings_makes_nobody_live_there(server: Server) -> None:
    """Hosting companies put extensions into new databases: those count as empty."""
    async with foreign(server) as url:
        await execute(url, "CREATE EXTENSION IF NOT EXISTS plpgsql")
        async with provision(url) as given:
            assert await given.alive()


async def test_a_database_with_our_marker_is_used_whatever_it_holds(database: str) -> None:
    """What an earlier run of ours made may be used again."""
    await execute(database, "CREATE TABLE left_behind ()")
    async with provision(database) as given:
        assert await given.alive()


async def test_a_user_who_may_not_create_databases_is_told_so(server: Server) -> None:
    """The message says which right is missing and how to grant it; a user with just that right will do."""
    async with role(server, "") as url:
        with pytest.raises(UsageError, match=r"may not create databases.*CREATEDB"):
            async with provision(url):
                pass
    async with role(server, "CREATEDB") as url, provision(url) as given, given.empty("modest") as clone:
        assert await name_of(clone)


async def test_an_old_postgres_is_refused_before_it_is_asked_anything() -> None:
    """The version is read off the greeting: the scripted server answers no query."""
    async with peer(postgres_9_6) as port:
        with pytest.raises(UsageError, match=r"PostgreSQL 9\.6\.24 is too old: 15 or newer"):
            async with provision(f"postgresql://u@127.0.0.1:{port}/db"):
                pass


async def test_a_server_that_never_answers_does_not_hold_us_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for a silent server is bounded and told."""
    monkeypatch.setattr("harness.postgres.provisioning.CONNECT_TIMEOUT", 0.3)
    async with peer(silence) as port:
        with pytest.raises(UsageError, match="no answer within"):
            async with provision(f"postgresql://u@127.0.0.1:{port}/db"):
                pass


async def test_what_crashed_runs_left_behind_is_dropped_and_told(server: Server, database: str) -> None:
    """A marked database whose run is not connected any more goes; that of a live run stays."""
    left = f"oversell_{secrets.token_hex(4)}_1_crashed"
    admin = server.url("postgres")
    await execute(admin, f"CREATE DATABASE {quote_identifier(left)}")
    await execute(admin, f"COMMENT ON DATABASE {quote_identifier(left)} IS '{MARKER}{left.split('_')[1]}'")
    heard: list[str] = []
    async with server.empty("alive") as url, provision(database, notice=heard.append):
        assert await name_of(url)
    assert left not in await databases(server)
    assert [line for line in heard if left in line]


async def test_a_killed_runs_databases_are_dropped_by_the_next_one(server: Server, database: str) -> None:
    """The guardian cannot remove them behind a URL; whoever comes next does."""
    before = set(await databases(server))
    with child(database, "wait") as run:
        assert run.kind == "url"
        left = set(await databases(server)) - before
        assert len(left) == 1
        run.process.kill()
        assert run.ended() != 0
    async with asyncio.timeout(LIMIT):
        while left & set(await databases(server)):
            async with provision(database):
                pass
