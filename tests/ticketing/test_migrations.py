"""The migrations: ordered, idempotent, plain SQL, and no superuser needed."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.postgres import connect, provision
from harness.postgres.urls import with_database
from harness.ticketing import create_event, create_rsvp, create_ticket, migrate
from harness.ticketing.migrations import migration_files

if TYPE_CHECKING:
    from pathlib import Path

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
            event = await create_event(owner, "Concert")
            ticket = await create_ticket(owner, event.id, "Standard", 10, 2)
            created = await create_rsvp(
                owner,
                event_id=event.id,
                user_id="ann",
                name="Ann",
                email="ann@example.com",
                ticket_id=ticket.id,
            )
            assert created.remaining == 1
            assert (
                await owner.fetchval(
                    "select count(*) from pg_roles where rolname in ('anon', 'authenticated', 'service_role')"
                )
                == 3
            )
        finally:
            await owner.close(timeout=10)
