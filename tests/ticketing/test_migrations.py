"""The migrations: ordered, idempotent, plain SQL, and no superuser needed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from harness.postgres import connect, provision
from harness.postgres.urls import with_database
from harness.ticketing import create_event, create_hold, migrate, refund_rsvp
from harness.ticketing.migrations import migration_files
from tests.ticketing.shop import buy, on_sale

EVERYTHING = """
select 'function' as kind, p.oid::regprocedure::text as name,
       concat(pg_get_functiondef(p.oid), p.proacl) as text
  from pg_proc p where p.pronamespace = 'public'::regnamespace
union all
select 'relation', c.oid::regclass::text, concat(c.relkind, c.relacl, c.relrowsecurity)
  from pg_class c where c.relnamespace = 'public'::regnamespace
union all
select 'constraint', conname, pg_get_constraintdef(oid)
  from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'index', indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'column', concat(attrelid::regclass, '.', attname),
       concat(attnum, format_type(atttypid, atttypmod), attnotnull)
  from pg_attribute join pg_class c on c.oid = attrelid
 where c.relnamespace = 'public'::regnamespace and attnum > 0 and c.relkind in ('r', 'v')
union all
select 'view', viewname, definition from pg_views where schemaname = 'public'
union all
select 'policy', tablename || '.' || policyname, concat(qual, with_check, roles)
  from pg_policies where schemaname = 'public'
union all
select 'trigger', tgname, pg_get_triggerdef(oid)
  from pg_trigger where not tgisinternal
 order by 1, 2, 3
"""


async def state(connection: asyncpg.Connection) -> list[tuple[str, str, str]]:
    return [tuple(record) for record in await connection.fetch(EVERYTHING)]


def test_numbers_are_without_gaps() -> None:
    """The order of the migrations is their number, each used once."""
    numbers = [int(file.name.partition("_")[0]) for file in migration_files()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("file", migration_files(), ids=lambda file: file.name)
def test_plain_sql(file: Path) -> None:
    """No psql commands and no transaction control, so that an SQL editor can run the file as one batch."""
    text = file.read_text(encoding="utf-8")
    assert not re.findall(r"^\s*\\", text, re.MULTILINE)
    assert not re.findall(r"^\s*(?:begin|commit|rollback|start transaction)\s*;", text, re.MULTILINE | re.I)
    assert "concurrently" not in text.lower()


async def test_run_twice(database: str) -> None:
    """A second run changes nothing, neither the definitions nor the rows."""
    connection = await connect(database)
    try:
        await migrate(connection)
        event = await create_event(connection, "Concert")
        before = await state(connection)
        await migrate(connection)
        assert await state(connection) == before
        assert await connection.fetchval("select id from events") == event.id
        assert {kind for kind, _, _ in before} >= {"function", "relation", "constraint", "policy", "trigger"}
    finally:
        await connection.close(timeout=10)


OLD = Path(__file__).with_name("before_holds.sql")
OLD_ROWS = """
insert into events (name) values ('Concert');
insert into tickets (id, event_id, name, price, quantity_initial, quantity_available)
select 't', id, 'Standard', 10, 3, 3 from events;
select create_rsvp(id, 'ann', 'Ann', 'a@x', 't') from events;
select create_rsvp(id, 'bob', 'Bob', 'b@x', 't') from events;
select cancel_rsvp(id) from rsvps where user_id = 'bob';
"""


async def test_from_before_there_were_holds(database: str) -> None:
    """A database of the first ten migrations becomes what a new one is, and keeps its rows."""
    connection = await connect(database)
    try:
        await migrate(connection)
        fresh = await state(connection)
        await connection.execute("drop schema public cascade; create schema public")
        await connection.execute(OLD.read_text(encoding="utf-8"))
        await connection.execute(OLD_ROWS)
        rows = await connection.fetch("select id, user_id, status, created_at from rsvps order by id")
        await migrate(connection)
        assert [each for each in await state(connection) if each not in fresh] == []
        assert await state(connection) == fresh
        assert rows == await connection.fetch("select id, user_id, status, created_at from rsvps order by id")
        assert await connection.fetch("select * from oversold_tickets") == []
        ann = await connection.fetchval("select id from rsvps where user_id = 'ann'")
        assert (await refund_rsvp(connection, ann)).amount == 10
        event = await connection.fetchval("select id from events")
        await create_hold(connection, event_id=event, user_id="bob", ticket_id="t")
        assert await connection.fetchval("select quantity_available from tickets") == 2
    finally:
        await connection.close(timeout=10)


@pytest.mark.parametrize("file", migration_files(), ids=lambda file: file.name)
async def test_sale_goes_on_between_two_files(database: str, file: Path) -> None:
    """Whoever migrates an old database file by file can sell and cancel after each of them."""
    connection = await connect(database)
    try:
        await connection.execute(OLD.read_text(encoding="utf-8"))
        await connection.execute(OLD_ROWS)
        for each in migration_files():
            await connection.execute(each.read_text(encoding="utf-8"))
            if each == file:
                break
        for _ in range(2):
            await connection.execute(
                "select create_rsvp(id, 'cat', 'Cat', 'c@x', 't') from events;"
                "select cancel_rsvp(id) from rsvps where user_id = 'cat' and status = 'confirmed'"
            )
        with pytest.raises(asyncpg.PostgresError, match="already has an RSVP"):
            await connection.execute("select create_rsvp(id, 'ann', 'Ann', 'a@x', 't') from events")
        assert await connection.fetch("select * from oversold_tickets") == []
    finally:
        await connection.close(timeout=10)


async def test_one_batch(database: str) -> None:
    """All files pasted together run as one batch, twice, and give the same as one after the other."""
    batch = "\n".join(file.read_text(encoding="utf-8") for file in migration_files())
    connection = await connect(database)
    try:
        await connection.execute(batch)
        pasted = await state(connection)
        await connection.execute(batch)
        await migrate(connection)
        assert await state(connection) == pasted
    finally:
        await connection.close(timeout=10)


async def test_two_processes_at_once(database: str) -> None:
    """Whoever comes second waits until the first has migrated."""
    first, second = await connect(database), await connect(database)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(migrate(first))
            group.create_task(migrate(second))
        assert await first.fetchval("select count(*) from tickets") == 0
    finally:
        await first.close(timeout=10)
        await second.close(timeout=10)


async def test_foreign_tables_are_refused(database: str) -> None:
    """Tables of another shape under our names are named in the refusal, and nothing is made beside them."""
    connection = await connect(database)
    try:
        await connection.execute(
            "create table tickets (id text primary key, event_id bigint, quantity_available int)"
        )
        with pytest.raises(
            asyncpg.RaiseError, match=r"tickets\.quantity_initial, tickets\.purchase_deadline"
        ):
            await migrate(connection)
        assert await connection.fetchval("select to_regclass('public.events')") is None
    finally:
        await connection.close(timeout=10)


async def test_tables_in_the_place_of_views_are_refused(database: str) -> None:
    """Tables where views are to be made are named in the refusal, and nothing is made beside them."""
    connection = await connect(database)
    try:
        await connection.execute("create table waitlist (id int); create table holds (id int)")
        with pytest.raises(asyncpg.RaiseError, match="views are to be made: holds, waitlist"):
            await migrate(connection)
        await connection.execute("drop table waitlist, holds; create table refunds (rsvp_id uuid)")
        with pytest.raises(asyncpg.RaiseError, match=r"lack: refunds\.amount"):
            await migrate(connection)
        assert await connection.fetchval("select to_regclass('public.events')") is None
    finally:
        await connection.close(timeout=10)


async def test_owner_without_superuser() -> None:
    """On a fresh cluster an owner with CREATEROLE, and nothing more, makes the roles and all the rest."""
    async with provision("embedded") as server:
        admin = await connect(server.url("postgres"))
        try:
            assert not await admin.fetchval("select count(*) from pg_roles where rolname = 'service_role'")
            await admin.execute("create role shop login createrole password 'shop'")
            await admin.execute("create database shop owner shop")
        finally:
            await admin.close(timeout=10)
        owner = await connect(with_database(server.url("postgres"), "shop"), user="shop", password="shop")
        try:
            assert await owner.fetchval("select current_setting('is_superuser')") == "off"
            await migrate(owner)
            await migrate(owner)
            created = await buy(owner, await on_sale(owner, 2), "ann")
            assert created.remaining == 1
            assert (
                await owner.fetchval(
                    "select count(*) from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
                )
                == 3
            )
        finally:
            await owner.close(timeout=10)
