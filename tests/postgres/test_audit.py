"""The audit: what the log tells of committed transactions."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.postgres import connect
from harness.postgres.audit import NAME_PREFIX, AuditUnavailableError, WrongLedgerError, auditing, forgotten
from harness.postgres.pgoutput import Change, ChangeKind
from tests.postgres.support import LIMIT, OwnServer, as_user, own_server
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.postgres import Server

WANTED = {"public.tickets": ("id", "left"), "public.rsvps": ("who",)}
SCHEMA = """
    CREATE TABLE tickets (id integer PRIMARY KEY, name text, "left" integer);
    CREATE TABLE rsvps (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, who text, note text);
    CREATE TABLE other (id integer);
"""


@pytest.fixture
async def shop(database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the tables."""
    connection = await connect(database)
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


def insert(table: str, *row: str | None) -> Change:
    return Change(ChangeKind.INSERT, table, None, row)


async def test_transactions_come_whole_and_in_the_order_of_their_commits(
    database: str, shop: asyncpg.Connection
) -> None:
    """Not in the order in which they began; and each with all of its changes."""
    async with auditing(database, WANTED) as audit:
        late = await connect(database)
        transaction = late.transaction()
        await transaction.start()
        await late.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        await shop.execute("INSERT INTO rsvps (who) VALUES ('ben')")
        await late.execute("INSERT INTO tickets VALUES (1, 'general', 9)")
        await transaction.commit()
        await late.close()
        told = [each.changes for each in await audit.catch_up() if each.changes]
    assert told == [
        (insert("public.rsvps", "ben"),),
        (insert("public.rsvps", "ada"), insert("public.tickets", "1", "9")),
    ]


async def test_rows_are_told_as_they_were_and_as_they_are(database: str, shop: asyncpg.Connection) -> None:
    """Updates and deletes with both, whatever columns the key has; and a truncation says what is gone."""
    async with auditing(database, WANTED) as audit:
        await shop.execute("INSERT INTO tickets VALUES (1, NULL, NULL)")
        await shop.execute('UPDATE tickets SET "left" = 3')
        await shop.execute("UPDATE tickets SET id = 2")
        await shop.execute("DELETE FROM tickets")
        await shop.execute("TRUNCATE rsvps")
        told = [change for each in await audit.catch_up() for change in each.changes]
    assert told == [
        insert("public.tickets", "1", None),
        Change(ChangeKind.UPDATE, "public.tickets", ("1", None), ("1", "3")),
        Change(ChangeKind.UPDATE, "public.tickets", ("1", "3"), ("2", "3")),
        Change(ChangeKind.DELETE, "public.tickets", ("2", "3"), None),
        Change(ChangeKind.TRUNCATE, "public.rsvps", None, None),
    ]


async def test_what_was_rolled_back_is_not_told(database: str, shop: asyncpg.Connection) -> None:
    """Nor a savepoint's part of a transaction that committed the rest."""
    async with auditing(database, WANTED) as audit:
        transaction = shop.transaction()
        await transaction.start()
        await shop.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        await transaction.rollback()
        async with shop.transaction():
            await shop.execute("INSERT INTO rsvps (who) VALUES ('ben')")
            savepoint = shop.transaction()
            await savepoint.start()
            await shop.execute("INSERT INTO rsvps (who) VALUES ('cleo')")
            await savepoint.rollback()
        told = [change for each in await audit.catch_up() for change in each.changes]
    assert told == [insert("public.rsvps", "ben")]


async def test_a_value_too_large_to_be_written_again_is_what_it_was(
    database: str, shop: asyncpg.Connection
) -> None:
    """Postgres leaves an unchanged large value out of the new row; the old one has it."""
    await shop.execute("ALTER TABLE rsvps ALTER who SET STORAGE EXTERNAL")
    name = "a" * 10_000
    async with auditing(database, WANTED) as audit:
        await shop.execute("INSERT INTO rsvps (who) VALUES ($1)", name)
        await shop.execute("UPDATE rsvps SET note = 'changed'")
        *_, last = [change for each in await audit.catch_up() for change in each.changes]
    assert last == Change(ChangeKind.UPDATE, "public.rsvps", (name,), (name,))


async def test_everything_committed_before_is_there(database: str, shop: asyncpg.Connection) -> None:
    """Although nobody waited for the log to be written."""
    await shop.execute("SET synchronous_commit = off")
    async with auditing(database, WANTED) as audit:
        for number in range(1, 101):
            await shop.execute("INSERT INTO rsvps (who) VALUES ($1)", str(number))
            told = [change for each in await audit.catch_up() for change in each.changes]
            assert told == [insert("public.rsvps", str(number))]
    assert audit.transactions >= 100


async def test_every_transaction_has_its_number_and_its_time(database: str, shop: asyncpg.Connection) -> None:
    """Those by which a person finds it in the database."""
    async with auditing(database, WANTED) as audit:
        async with shop.transaction():
            xid = int(await shop.fetchval("SELECT pg_current_xact_id()::text"))
            await shop.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        now = await shop.fetchval("SELECT extract(epoch FROM clock_timestamp()) * 1000000")
        (told,) = [each for each in await audit.catch_up() if each.changes]
    assert told.xid == xid
    assert 0 <= int(now) - told.committed < 60_000_000


async def test_nothing_is_left_behind(database: str, shop: asyncpg.Connection) -> None:
    """No slot that keeps the log from being thrown away, and no publication."""
    async with auditing(database, WANTED) as audit:
        assert audit.name.startswith(NAME_PREFIX)
        assert await shop.fetchval(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", audit.name
        )
        assert await shop.fetchval("SELECT count(*) FROM pg_publication") == 1
    gone = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1"
    assert await shop.fetchval(gone, audit.name) == 0
    assert await shop.fetchval("SELECT count(*) FROM pg_publication") == 0


async def test_a_slot_goes_with_the_session_that_made_it(database: str, shop: asyncpg.Connection) -> None:
    """So that a crash of ours leaves none; and who reads on is told that it is over."""
    async with auditing(database, WANTED) as audit:
        pid = await shop.fetchval(
            "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1", audit.name
        )
        await shop.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)
        assert (
            await shop.fetchval("SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", audit.name)
            == 0
        )
        with pytest.raises(AuditUnavailableError, match="can no longer be read"):
            await audit.catch_up()


async def test_a_user_who_may_not_read_the_log_is_told_so(
    server: Server, database: str, shop: asyncpg.Connection
) -> None:
    """With what is missing."""
    role = "somebody_without_rights"
    await shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    try:
        url = as_user(database, role, "secret")
        with pytest.raises(AuditUnavailableError, match="must own the tables"):
            async with auditing(url, WANTED):
                pass
    finally:
        await shop.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"public.no_such_table": ("id",)}, "the table public.no_such_table, which is not there"),
        ({"public.tickets": ("id", "lft")}, r"public.tickets.lft, which is not there; .*: id, name, left$"),
        ({"public.tickets_pkey": ("id",)}, "public.tickets_pkey, which is no table"),
    ],
)
async def test_a_description_that_does_not_fit_is_the_persons_mistake(
    wanted: dict[str, tuple[str, ...]], message: str, database: str, shop: asyncpg.Connection
) -> None:
    """No reason for snapshots: what is wrong is told, with what there is instead."""
    with pytest.raises(WrongLedgerError, match=message):
        async with auditing(database, wanted):
            pass
    assert await shop.fetchval("SELECT count(*) FROM pg_publication") == 0


async def test_it_keeps_up_with_several_writers(database: str, shop: asyncpg.Connection) -> None:
    """Nothing is told twice and nothing is left out, however readings and commits overlap."""
    writers = [await connect(database) for _ in range(4)]
    told: list[str | None] = []
    async with auditing(database, WANTED) as audit, asyncio.TaskGroup() as group:

        async def write(place: int) -> None:
            for number in range(50):
                await writers[place].execute("INSERT INTO rsvps (who) VALUES ($1)", f"{place}/{number}")

        async def read() -> None:
            while len(told) < 200:
                for each in await audit.catch_up():
                    told.extend(change.new[0] for change in each.changes if change.new)

        for place in range(4):
            group.create_task(write(place))
        async with asyncio.timeout(60):
            await read()
    for writer in writers:
        await writer.close()
    assert sorted(map(str, told)) == sorted(f"{place}/{number}" for place in range(4) for number in range(50))
    for place in range(4):
        mine = [name for name in told if str(name).startswith(f"{place}/")]
        assert mine == [f"{place}/{number}" for number in range(50)]


async def test_several_audits_of_one_database_do_not_disturb_each_other(
    database: str, shop: asyncpg.Connection
) -> None:
    """The second is refused: at its end the first would take from it the rows as they were."""
    async with auditing(database, WANTED) as audit:
        with pytest.raises(AuditUnavailableError, match="another audit is reading"):
            async with auditing(database, WANTED):
                pass
        await shop.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        assert [each.changes for each in await audit.catch_up() if each.changes] == [
            (insert("public.rsvps", "ada"),)
        ]
    async with auditing(database, WANTED):
        pass


async def identities(shop: asyncpg.Connection) -> dict[str, str]:
    """Return the replica identity of each table of the shop."""
    rows = await shop.fetch(
        "SELECT relname, relreplident::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return dict(rows)


async def test_replica_identities_are_put_back(database: str, shop: asyncpg.Connection) -> None:
    """Whatever they were; a table that is updated meanwhile works on."""
    await shop.execute(
        """
        CREATE TABLE by_index (id integer NOT NULL);
        CREATE UNIQUE INDEX "The Index" ON by_index (id);
        ALTER TABLE by_index REPLICA IDENTITY USING INDEX "The Index";
        CREATE TABLE "With ""quotes"" in it" (id integer);
        ALTER TABLE "With ""quotes"" in it" REPLICA IDENTITY NOTHING;
        CREATE TABLE whole (id integer);
        ALTER TABLE whole REPLICA IDENTITY FULL;
        CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE small PARTITION OF parts FOR VALUES FROM (0) TO (10);
        """
    )
    before = await identities(shop)
    tables = ("tickets", "by_index", 'With "quotes" in it', "whole", "parts")
    async with auditing(database, {f"public.{table}": ("id",) for table in tables}) as audit:
        meanwhile = await identities(shop)
        await shop.execute("INSERT INTO parts VALUES (1); UPDATE parts SET id = 2")
        told = [change for each in await audit.catch_up() for change in each.changes]
    assert {table for table, kind in meanwhile.items() if kind == "f"} == {
        "tickets", "by_index", 'With "quotes" in it', "whole", "parts", "small"
    }  # fmt: skip
    assert told == [insert("public.parts", "1"), Change(ChangeKind.UPDATE, "public.parts", ("1",), ("2",))]
    assert await identities(shop) == before


async def killed_audit(database: str) -> None:
    """Audit in a process of its own, and kill that before it can put anything back."""
    program = (
        "import asyncio, os, signal, sys\n"
        "from harness.postgres.audit import auditing\n"
        "async def main():\n"
        "    async with auditing(sys.argv[1], {'public.tickets': ('id',)}):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, database)
    async with asyncio.timeout(LIMIT):
        assert await process.wait() == -signal.SIGKILL


async def no_session(shop: asyncpg.Connection) -> None:
    """Wait until Postgres has noticed that the other side is gone."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
    async with asyncio.timeout(LIMIT):
        while await shop.fetchval(others, shop.get_server_pid()):
            await next_turn()


async def test_what_a_killed_audit_leaves_is_named_and_then_removed(
    database: str, shop: asyncpg.Connection
) -> None:
    """By the next audit of that database; while one lives, nothing is forgotten."""
    before = await identities(shop)
    await killed_audit(database)
    await no_session(shop)
    assert (await identities(shop))["tickets"] == "f"
    await shop.execute(f"SELECT pg_create_logical_replication_slot('{NAME_PREFIX}left', 'pgoutput')")
    named = await forgotten(shop)
    assert len(named) == 2
    assert named[0].startswith(f"publication {NAME_PREFIX}")
    assert named[0].endswith("(and replica identity FULL on public.tickets)")
    assert named[1] == f"replication slot {NAME_PREFIX}left"
    async with auditing(database, {"public.rsvps": ("who",)}):
        assert await forgotten(shop) == ()
        assert (await identities(shop))["tickets"] == before["tickets"]
    assert await forgotten(shop) == ()
    assert await identities(shop) == before


async def test_where_there_is_no_slot_left_that_is_told(database: str, shop: asyncpg.Connection) -> None:
    """And nothing stays changed."""
    before = await identities(shop)
    most = int(await shop.fetchval("SHOW max_replication_slots"))
    for number in range(most):
        await shop.execute(
            f"SELECT pg_create_physical_replication_slot('oversell_test_{number}', false, true)"
        )
    with pytest.raises(AuditUnavailableError, match="Raise max_replication_slots"):
        async with auditing(database, WANTED):
            pass
    assert await identities(shop) == before
    assert await forgotten(shop) == ()


async def test_a_table_that_somebody_keeps_locked_is_not_waited_for_long(
    database: str, shop: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who has read it in a transaction that is open keeps its replica identity as it is."""
    monkeypatch.setattr("harness.postgres.audit._LOCK_TIMEOUT", "10ms")
    async with shop.transaction():
        await shop.execute("SELECT FROM tickets")
        with pytest.raises(AuditUnavailableError, match="keeps a table locked"):
            async with auditing(database, WANTED):
                pass
    assert set((await identities(shop)).values()) == {"d"}


async def test_a_reading_ends_where_it_began_to_be_asked_for(
    database: str, shop: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast others write: what is committed after the call began is left to the next one."""
    monkeypatch.setattr("harness.postgres.audit._BATCH", 1)
    await shop.execute("SET synchronous_commit = on")
    async with auditing(database, WANTED) as audit:
        await shop.execute("INSERT INTO rsvps (who) VALUES ('0')")
        told: list[str | None] = []
        async for batch in audit.read():
            told += [change.new[0] for each in batch for change in each.changes if change.new]
            if batch and len(told) < 5:
                await shop.execute("INSERT INTO rsvps (who) VALUES ('later')")
        assert told == ["0"]
        told = [change.new[0] for each in await audit.catch_up() for change in each.changes if change.new]
        assert set(told) == {"later"}


async def test_what_a_broken_off_reading_had_read_is_not_passed_over(
    database: str, shop: asyncpg.Connection
) -> None:
    """Postgres has told it and will not tell it again."""
    async with auditing(database, WANTED) as audit:
        await shop.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        reading = audit.read()
        await anext(reading)
        with pytest.raises(AuditUnavailableError, match="was broken off"):
            await audit.catch_up()
        await reading.aclose()  # type: ignore[attr-defined]  # a generator has it


async def test_limits_that_are_meant_for_others_do_not_end_it(
    database: str, shop: asyncpg.Connection
) -> None:
    """A reading takes as long as it takes, and between two of them the session does nothing."""
    name = await shop.fetchval("SELECT quote_ident(current_database())")
    await shop.execute(f"ALTER DATABASE {name} SET statement_timeout = '1min'")
    await shop.execute(f"ALTER DATABASE {name} SET idle_session_timeout = '1min'")
    async with auditing(database, WANTED) as audit:
        limits = [
            await audit._db.fetchval(f"SHOW {limit}")
            for limit in ("statement_timeout", "idle_session_timeout")
        ]
    assert limits == ["0", "0"]


async def test_positions_tell_before_from_after(database: str, shop: asyncpg.Connection) -> None:
    """What was committed before a position ends at it at the latest."""
    async with auditing(database, WANTED) as audit:
        await shop.execute("INSERT INTO rsvps (who) VALUES ('before')")
        position = await audit.position()
        await shop.execute("INSERT INTO rsvps (who) VALUES ('after')")
        told = {each.end <= position: each.changes for each in await audit.catch_up() if each.changes}
    assert told == {True: (insert("public.rsvps", "before"),), False: (insert("public.rsvps", "after"),)}


async def test_the_log_is_not_read_again_from_long_ago(
    database: str, shop: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres notes which transactions are open, so that the next reading can begin there."""
    monkeypatch.setattr("harness.postgres.audit._RUNNING_EVERY", 1)
    begins = "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = $1"
    async with auditing(database, WANTED) as audit:
        first = await shop.fetchval(begins, audit.name)
        for _ in range(3):
            await shop.execute("INSERT INTO rsvps (who) VALUES ('ada')")
            await audit.catch_up()
        assert await shop.fetchval(
            "SELECT $1::text::pg_lsn > $2::text::pg_lsn", await shop.fetchval(begins, audit.name), first
        )


@pytest.fixture
async def own() -> AsyncIterator[OwnServer]:
    """A server that a test may treat badly, with the tables."""
    async with own_server() as running:
        connection = await connect(running.url)
        await connection.execute(SCHEMA)
        await connection.close()
        yield running


async def test_a_restart_of_postgres_ends_an_audit(own: OwnServer) -> None:
    """And is named: commits may have been missed."""
    async with auditing(own.url, WANTED) as audit:
        await own.restart()
        with pytest.raises(AuditUnavailableError, match="Postgres was started again at"):
            await audit.catch_up()


async def test_a_crash_of_postgres_ends_an_audit(own: OwnServer) -> None:
    """It mends itself, but the slot is gone."""
    async with auditing(own.url, WANTED) as audit:
        await own.crash()
        with pytest.raises(AuditUnavailableError, match="the session that read it was ended"):
            await audit.catch_up()
        with pytest.raises(AuditUnavailableError, match="can no longer be read"):
            await audit.position()


async def test_a_log_that_outgrows_its_limit_ends_an_audit(own: OwnServer) -> None:
    """With the setting that said so."""
    connection = await connect(own.url)
    await connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    await connection.execute("SELECT pg_reload_conf()")
    async with auditing(own.url, WANTED) as audit:
        lost = (
            "SELECT count(*) = 0 OR bool_or(wal_status = 'lost')"
            " FROM pg_replication_slots WHERE slot_name = $1"
        )
        async with asyncio.timeout(LIMIT):
            while not await connection.fetchval(lost, audit.name):
                await connection.execute(
                    "INSERT INTO rsvps (who) SELECT repeat('a', 1000) FROM generate_series(1, 20000)"
                )
                await connection.execute("SELECT pg_switch_wal()")
                await connection.execute("CHECKPOINT")
        with pytest.raises(AuditUnavailableError, match="can no longer be read"):
            await audit.catch_up()
    await connection.close()


async def test_without_logical_decoding_there_is_no_audit(own: OwnServer) -> None:
    """And the way out is told."""
    await own.restart(wal_level="replica")
    with pytest.raises(AuditUnavailableError, match="Start Postgres with wal_level = logical"):
        async with auditing(own.url, WANTED):
            pass


async def test_a_user_needs_the_right_to_replicate(own: OwnServer) -> None:
    """Although the tables are theirs."""
    connection = await connect(own.url)
    await connection.execute(
        "CREATE ROLE owner LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE postgres TO owner;"
        "ALTER TABLE tickets OWNER TO owner; ALTER TABLE rsvps OWNER TO owner"
    )
    url = as_user(own.url, "owner", "secret")
    with pytest.raises(AuditUnavailableError, match="The user needs REPLICATION"):
        async with auditing(url, WANTED):
            pass
    assert set((await identities(connection)).values()) == {"d"}
    await connection.execute("ALTER ROLE owner REPLICATION")
    async with auditing(url, WANTED) as audit:
        await connection.execute("INSERT INTO rsvps (who) VALUES ('ada')")
        assert any(each.changes for each in await audit.catch_up())
    await connection.close()
