"""The audit: what the log tells of committed transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.postgres import connect
from harness.postgres.audit import NAME_PREFIX, AuditUnavailableError, WrongLedgerError, auditing
from harness.postgres.pgoutput import Change, ChangeKind

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
        url = database.replace(database.split("//")[1].split("@")[0], f"{role}:secret")
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
