"""Servers and the databases made in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.errors import DatabaseLostError, UsageError
from harness.postgres import Reaper, Server, connect, provision
from harness.postgres import server as server_module
from harness.postgres.embedded import run_embedded
from harness.postgres.server import MARKER

if TYPE_CHECKING:
    from collections.abc import Sequence


async def databases(server: Server) -> Sequence[str]:
    """Return the names of all databases that carry our marker."""
    connection = await connect(server.url("postgres"))
    try:
        rows = await connection.fetch(
            "SELECT datname FROM pg_database WHERE shobj_description(oid, 'pg_database') LIKE $1 || '%'",
            MARKER,
        )
        return [row["datname"] for row in rows]
    finally:
        await connection.close()


async def install(url: str) -> None:
    """Fill a template."""
    connection = await connect(url)
    await connection.execute("CREATE TABLE things (id int PRIMARY KEY); INSERT INTO things VALUES (1), (2)")
    await connection.close()


async def name_of(url: str) -> str:
    """Return the name of the database behind a URL, as the server tells it."""
    connection = await connect(url)
    try:
        return str(await connection.fetchval("SELECT current_database()"))
    finally:
        await connection.close()


async def test_a_fresh_database_is_empty(database: str) -> None:
    """Each test gets a database without a table of anybody's."""
    connection = await connect(database)
    count = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    await connection.close()
    assert count == 0


async def test_the_embedded_server_is_set_up_for_what_we_do(server: Server) -> None:
    """It decodes its log, takes many connections, asks for a password and listens on 127.0.0.1 only."""
    connection = await connect(server.url("postgres"))
    settings = dict(await connection.fetch("SELECT name, setting FROM pg_settings"))
    methods = {
        row["auth_method"] for row in await connection.fetch("SELECT auth_method FROM pg_hba_file_rules")
    }
    await connection.close()
    assert settings["wal_level"] == "logical"
    assert int(settings["max_connections"]) >= 200
    assert settings["listen_addresses"] == "127.0.0.1"
    assert settings["fsync"] == settings["synchronous_commit"] == settings["full_page_writes"] == "off"
    assert methods == {"scram-sha-256"}
    assert (server.kind, server.version) == ("embedded", settings["server_version"])
    assert server.description == f"PostgreSQL {server.version}, embedded"


async def test_a_durable_server_keeps_what_it_committed() -> None:
    """For tests of crashes everything that protects commits is on."""
    async with provision("embedded", durable=True) as durable:
        connection = await connect(durable.url("postgres"))
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval("SELECT current_setting($1)", name) == "on"
        await connection.close()


async def test_a_clone_has_what_the_template_has_and_goes_away(server: Server) -> None:
    """A clone starts as its template, others do not see it, and it is dropped although in use."""
    template = await server.create_template(install)
    async with server.clone(template, "Some: scenario/1") as url, server.clone(template, "x") as other:
        connection = await connect(url)
        await connection.execute("DELETE FROM things")
        untouched = await connect(other)
        assert await untouched.fetchval("SELECT count(*) FROM things") == 2
        name, others = await name_of(url), await name_of(other)
        assert {name, others, template} <= set(await databases(server))
    assert not {name, others} & set(await databases(server))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute("SELECT 1")
    connection.terminate()
    untouched.terminate()
    assert len(server.clone_seconds) >= 2


async def test_clones_made_at_once_have_different_names(server: Server) -> None:
    """Names are unique also when labels are equal, longer than a name may be, or empty."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(named(server, label)) for label in ("same", "same", "x" * 200, "", "é")]
    names = [task.result() for task in tasks]
    assert len(set(names)) == len(names)


async def named(server: Server, label: str) -> str:
    """Make an empty database and return its name."""
    async with server.empty(label) as url:
        return await name_of(url)


async def test_a_clone_is_dropped_when_its_user_is_cancelled(server: Server) -> None:
    """Cancelling the task that works in a clone leaves nothing behind."""
    inside = asyncio.Event()
    names: list[str] = []

    async def work() -> None:
        async with server.empty("cancelled") as url:
            names.append(await name_of(url))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    assert set(names) <= set(await databases(server))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not set(names) & set(await databases(server))


async def test_a_template_that_cannot_be_installed_is_dropped(server: Server) -> None:
    """When the installation fails its error goes on, and the half-made database is gone."""
    before = set(await databases(server))

    async def fail(url: str) -> None:
        await install(url)
        raise RuntimeError("no schema today")

    with pytest.raises(RuntimeError, match="no schema today"):
        await server.create_template(fail)
    assert set(await databases(server)) == before


async def test_a_session_leaving_a_template_is_waited_for(server: Server) -> None:
    """Cloning starts although a session is still open, and succeeds once that one has left."""
    template = await server.create_template(install)
    lingering = await connect(server.url(template))

    async def clone() -> None:
        async with server.clone(template, "patient") as url:
            await name_of(url)

    task = asyncio.create_task(clone())
    watcher = await connect(server.url("postgres"))
    tried = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%patient%'"
    async with asyncio.timeout(30):
        while not await watcher.fetchval(tried):
            pass  # Another session sets no event; each look waits for the server.
    await lingering.close()
    await asyncio.wait_for(task, 30)
    await watcher.close()


async def test_a_template_that_stays_in_use_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for open sessions ends, with the reason."""
    monkeypatch.setattr(server_module, "_BUSY_ATTEMPTS", 1)
    template = await server.create_template(install)
    lingering = await connect(server.url(template))
    with pytest.raises(UsageError, match="while sessions are open on it"):
        async with server.clone(template, "impatient"):
            pass
    await lingering.close()


async def test_a_server_that_dies_is_noticed_and_cleaned_up() -> None:
    """Once Postgres is gone ``alive`` says so, making a database says so, and leaving raises nothing."""
    async with provision("embedded") as mortal:
        assert await mortal.alive()
        async with mortal.empty("orphan"):
            await crash(mortal)
            assert not await mortal.alive()
            with pytest.raises(DatabaseLostError, match="went away"):
                async with mortal.empty("too late"):
                    pass


async def crash(server: Server) -> None:
    """Kill the server as a crash would."""
    connection = await connect(server.url("postgres"))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute(
            "COPY (SELECT) TO PROGRAM 'kill -9 $(head -n 1 postmaster.pid); sleep 0.1'; SELECT pg_sleep(30)"
        )
    connection.terminate()


async def test_a_lost_control_session_is_replaced(server: Server) -> None:
    """When somebody ends our session the next statement opens another."""
    assert await server.alive()
    connection = await connect(server.url("postgres"))
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name LIKE 'oversell run %'"
    )
    await connection.close()
    await server.alive()
    async with server.empty("after") as url:
        assert await name_of(url)


async def test_the_servers_own_words_are_told_when_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses its settings is stopped and quoted."""
    monkeypatch.setattr("harness.postgres.settings.MAX_CONNECTIONS", "many")
    with Reaper() as reaper, pytest.raises(UsageError, match=r"did not start: .*max_connections"):
        async with run_embedded(reaper, durable=False):
            pass
