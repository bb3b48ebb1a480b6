"""Who may do what, tried out by becoming each role; on a plain Postgres and with Supabase's defaults."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from harness.postgres import connect, quote_identifier
from harness.ticketing import (
    TicketingError,
    cancel_rsvp,
    create_event,
    create_rsvp,
    create_ticket,
    decrement_ticket_quantity,
    get_ticket_availability,
    increment_ticket_quantity,
    migrate,
    store_payment_proof,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.ticketing import RsvpRow, TicketRow

# What a Supabase project has done before anybody's migrations run.
SUPABASE = """
do $$ begin
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit;
exception when duplicate_object then null;
end $$;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
"""
TABLES = ("events", "tickets", "rsvps", "payment_proofs", "idempotency_keys")
READABLE = {
    "anon": {"events", "tickets"},
    "authenticated": {"events", "tickets", "rsvps"},
    "service_role": {*TABLES, "oversold_tickets"},
}
CALLS = {
    "decrement": "select decrement_ticket_quantity($1)",
    "increment": "select increment_ticket_quantity($1)",
    "create": "select create_rsvp($2, 'eve', 'Eve', 'eve@example.com', $1)",
    "cancel": "select cancel_rsvp($3)",
    "availability": "select get_ticket_availability($2)",
}
WRITES = {
    "insert": "insert into {} default values",
    "update": "update {} set created_at = now()",
    "delete": "delete from {}",
    "truncate": "truncate {} cascade",
}


@pytest_asyncio.fixture(params=["plain", "supabase"])
async def shop(
    request: pytest.FixtureRequest, database: str
) -> AsyncIterator[tuple[asyncpg.Connection, TicketRow, RsvpRow]]:
    """A database with one ticket of two sold to Ann."""
    connection = await connect(database, command_timeout=30)
    try:
        if request.param == "supabase":
            await connection.execute(SUPABASE)
        await migrate(connection)
        event = await create_event(connection, "Concert")
        ticket = await create_ticket(connection, event.id, "Standard", 10, 3)
        created = await create_rsvp(
            connection,
            event_id=event.id,
            user_id="ann",
            name="Ann",
            email="ann@example.com",
            ticket_id=ticket.id,
        )
        yield connection, ticket, created.rsvp
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def acting_as(connection: asyncpg.Connection, role: str) -> AsyncIterator[None]:
    """Become a role for a while; nothing of it is kept."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(f"set local role {quote_identifier(role)}")
    try:
        yield
    finally:
        await transaction.rollback()


async def may(connection: asyncpg.Connection, statement: str, *arguments: object) -> bool:
    """Say whether the current role may run it, whatever else comes of it."""
    try:
        async with connection.transaction():
            await connection.fetch(statement, *arguments)
    except asyncpg.InsufficientPrivilegeError:
        return False
    except asyncpg.PostgresError:
        return True
    return True


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_the_public_may_only_look(
    shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str
) -> None:
    """Of the functions, the public may call the availability and nothing that changes anything."""
    connection, ticket, rsvp = shop
    values = {"$1": ticket.id, "$2": ticket.event_id, "$3": rsvp.id}
    allowed = set()
    async with acting_as(connection, role):
        for name, call in CALLS.items():
            for mark, value in values.items():
                call = call.replace(mark, f"'{value}'")  # noqa: PLW2901  # one mark after the other
            if await may(connection, call):
                allowed.add(name)
    assert allowed == {"availability"}


async def test_public_itself_has_nothing(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow]) -> None:
    """A login that is none of the three roles may call no function and read no table."""
    connection, _, _ = shop
    stranger = f"stranger_{uuid4().hex}"
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"create role {stranger}; set local role {stranger}")
        for function in ("decrement_ticket_quantity(text)", "get_ticket_availability(bigint)"):
            assert not await connection.fetchval(
                "select has_function_privilege($1::text, 'execute')", f"public.{function}"
            )
        for table in (*TABLES, "oversold_tickets"):
            assert not await may(connection, f"select from public.{table}")
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("role", list(READABLE))
async def test_who_reads_what(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str) -> None:
    """Events and tickets are public; the rest is not."""
    connection, _, _ = shop
    async with acting_as(connection, role):
        readable = {
            name for name in (*TABLES, "oversold_tickets") if await may(connection, f"select * from {name}")
        }
    assert readable == READABLE[role]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("table", TABLES)
async def test_the_public_writes_nothing(
    shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str, table: str
) -> None:
    """No table can be written by the public in any way."""
    connection, _, _ = shop
    async with acting_as(connection, role):
        allowed = {name for name, text in WRITES.items() if await may(connection, text.format(table))}
    assert allowed == set()


async def test_row_level_security_is_on(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow]) -> None:
    """Every table has it enabled, so that a grant by mistake still opens nothing."""
    connection, _, _ = shop
    rows = await connection.fetch(
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind = 'r' and relrowsecurity"
    )
    assert {row["relname"] for row in rows} == set(TABLES)
    await connection.execute("grant all on all tables in schema public to anon")
    async with acting_as(connection, "anon"):
        assert await connection.fetchval("select count(*) from rsvps") == 0
        assert await connection.execute("update tickets set quantity_available = 0") == "UPDATE 0"
        assert not await may(connection, "insert into events (name) values ('Mine')")


async def test_everybody_sees_his_own_rsvps(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow]) -> None:
    """A signed-in person reads the RSVPs of the user id in the token, and nobody's without a token."""
    connection, _, rsvp = shop
    for claims, expected in (
        (json.dumps({"sub": "ann"}), [rsvp.id]),
        (json.dumps({"sub": "bob"}), []),
        (json.dumps({}), []),
        ("", []),
    ):
        async with acting_as(connection, "authenticated"):
            await connection.fetchval("select set_config('request.jwt.claims', $1, true)", claims)
            assert [row["id"] for row in await connection.fetch("select id from rsvps")] == expected
    async with acting_as(connection, "authenticated"):
        assert await connection.fetch("select id from rsvps") == []


async def test_the_service_can_do_its_work(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow]) -> None:
    """service_role needs no more than it was given, row level security and all, for every binding."""
    connection, ticket, rsvp = shop
    async with acting_as(connection, "service_role"):
        event = await create_event(connection, "Another")
        other = await create_ticket(connection, event.id, "Standard", 10, 1)
        await decrement_ticket_quantity(connection, other.id)
        await increment_ticket_quantity(connection, other.id)
        await create_rsvp(
            connection,
            event_id=event.id,
            user_id="bob",
            name="Bob",
            email="bob@example.com",
            ticket_id=other.id,
        )
        assert (await cancel_rsvp(connection, rsvp.id)).status == "cancelled"
        assert [row.sold for row in await get_ticket_availability(connection, ticket.event_id)] == [0]
        await store_payment_proof(connection, content_type="image/png", content=b"x")
        assert await connection.fetch("select * from oversold_tickets") == []
        # What is checked at commit has to hold for this role as well.
        await connection.execute("set constraints all immediate")


async def test_functions_are_closed_against_tricks(
    shop: tuple[asyncpg.Connection, TicketRow, RsvpRow],
) -> None:
    """Every function has a fixed search_path with pg_temp last, so that a caller cannot slip in a table."""
    connection, ticket, _ = shop
    settings = await connection.fetch(
        "select proname, proconfig from pg_proc where pronamespace = 'public'::regnamespace"
    )
    assert len(settings) == 6
    assert {tuple(row["proconfig"]) for row in settings} == {("search_path=pg_catalog, pg_temp",)}
    async with connection.transaction():
        await connection.execute(
            "create temporary table tickets (like public.tickets) on commit drop;"
            "create temporary table rsvps (like public.rsvps) on commit drop;"
            "set local search_path = pg_temp, public"
        )
        assert (await decrement_ticket_quantity(connection, ticket.id)).quantity_available == 1


async def test_refusals_reach_the_service(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow]) -> None:
    """The service role sees refusals as such, not as missing rights."""
    connection, ticket, _ = shop
    async with acting_as(connection, "service_role"):
        with pytest.raises(TicketingError, match="already has an RSVP"):
            await create_rsvp(
                connection,
                event_id=ticket.event_id,
                user_id="ann",
                name="Ann",
                email="ann@example.com",
                ticket_id=ticket.id,
            )
