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
    change_capacity,
    decrement_ticket_quantity,
    expire_holds,
    get_ticket_availability,
    get_ticket_sales,
    increment_ticket_quantity,
    leave_waitlist,
    migrate,
    refund_rsvp,
    release_hold,
    store_payment_proof,
)
from tests.ticketing.shop import book, buy, confirm, hold, on_sale, wait

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
TABLES = ("events", "tickets", "rsvps", "payment_proofs", "idempotency_keys", "refunds")
VIEWS = ("oversold_tickets", "holds", "waitlist")
READABLE = {
    "anon": {"events", "tickets"},
    "authenticated": {"events", "tickets", "rsvps", "holds", "waitlist"},
    "service_role": {*TABLES, *VIEWS},
}
CALLS = {
    "decrement": "select from decrement_ticket_quantity($1)",
    "increment": "select from increment_ticket_quantity($1)",
    "create": "select from create_rsvp($2, 'eve', 'Eve', 'eve@example.com', $1)",
    "cancel": "select from cancel_rsvp($3)",
    "cancel own": "select from cancel_rsvp($3, 'ann')",
    "availability": "select from get_ticket_availability($2)",
    "hold": "select from create_hold($2, 'eve', $1)",
    "confirm": "select from confirm_hold($3, 'Eve', 'eve@example.com')",
    "release": "select from release_hold($3)",
    "expire": "select from expire_holds()",
    "group": "select from create_group_rsvp($2, $1, '{eve}', '{Eve}', '{eve@example.com}')",
    "join": "select from join_waitlist($2, 'eve', 'Eve', 'eve@example.com', $1)",
    "leave": "select from leave_waitlist($2, 'eve')",
    "capacity": "select from change_capacity($1, 9)",
    "refund": "select from refund_rsvp($3)",
    "sales": "select from get_ticket_sales($1)",
}
INTERNAL = {
    "hand over": "select hand_over(t, 1) from tickets t",
    "give back": "select give_back($1, 1)",
    "admit": "select admit($2, 'eve', $1)",
    "problem": "select person_problem('eve', 'Eve', 'eve@example.com')",
    "number": "select nextval('waiting_numbers')",
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
        ticket = await on_sale(connection, 3)
        created = await buy(connection, ticket, "ann")
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


async def hold_and_wait(connection: asyncpg.Connection) -> None:
    """Do everything that the story's first version had not, once, with no more rights than the caller has."""
    ticket = await on_sale(connection, 2)
    first = await hold(connection, ticket, "cat")
    made = await confirm(connection, first.hold.id, "cat")
    second = await hold(connection, ticket, "dan")
    for person in ("eve", "fay"):
        await wait(connection, ticket, person)
    await leave_waitlist(connection, ticket.event_id, "fay")
    await release_hold(connection, second.hold.id)
    await expire_holds(connection)
    await refund_rsvp(connection, made.rsvp.id)
    await change_capacity(connection, ticket.id, 4)
    await book(connection, ticket, ("gil", "hal"))
    assert [row.standing for row in await get_ticket_sales(connection, ticket.id)] == [3]


@pytest.mark.parametrize(
    ("role", "expected"),
    [("anon", {"availability"}), ("authenticated", {"availability"}), ("service_role", set(CALLS))],
)
async def test_who_calls_what(
    shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str, expected: set[str]
) -> None:
    """The public may ask for the availability; the service may call all but what functions share."""
    connection, ticket, rsvp = shop
    values = {"$1": ticket.id, "$2": ticket.event_id, "$3": rsvp.id}
    allowed = set()
    async with acting_as(connection, role):
        for name, call in (CALLS | INTERNAL).items():
            for mark, value in values.items():
                call = call.replace(mark, f"'{value}'")  # noqa: PLW2901  # one mark after the other
            if await may(connection, call):
                allowed.add(name)
    assert allowed == expected


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
        for table in (*TABLES, *VIEWS):
            assert not await may(connection, f"select from public.{table}")
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("role", list(READABLE))
async def test_who_reads_what(shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str) -> None:
    """Events and tickets are public; the rest is not."""
    connection, _, _ = shop
    async with acting_as(connection, role):
        readable = {name for name in (*TABLES, *VIEWS) if await may(connection, f"select * from {name}")}
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


@pytest.mark.parametrize("role", list(READABLE))
@pytest.mark.parametrize("view", VIEWS)
async def test_nobody_writes_through_a_view(
    shop: tuple[asyncpg.Connection, TicketRow, RsvpRow], role: str, view: str
) -> None:
    """No view can be written through, whatever it is a view of."""
    connection, _, _ = shop
    assert not await connection.fetchval(
        "select has_table_privilege($1::name, $2::text, 'insert, update, delete, truncate')", role, view
    )


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
        other = await on_sale(connection, 1)
        await decrement_ticket_quantity(connection, other.id)
        await increment_ticket_quantity(connection, other.id)
        await buy(connection, other, "bob")
        assert (await cancel_rsvp(connection, rsvp.id, "ann")).status == "cancelled"
        await hold_and_wait(connection)
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
    assert len(settings) > len(CALLS)
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
            await buy(connection, ticket, "ann")
