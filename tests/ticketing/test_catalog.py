"""The bindings against the database's own catalog: fails when either side drifts."""

from __future__ import annotations

import inspect
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_type_hints
from uuid import UUID

import pytest

from harness import ticketing
from harness.ticketing import EventRow, PaymentProofRow, RsvpCreated, RsvpRow, TicketRow
from harness.ticketing.functions import FUNCTIONS, SqlFunction

if TYPE_CHECKING:
    import asyncpg

PYTHON_TYPES: dict[str, type[Any]] = {
    "bigint": int,
    "integer": int,
    "text": str,
    "uuid": UUID,
    "numeric": Decimal,
    "bytea": bytes,
    "timestamp with time zone": datetime,
}
TABLES: dict[type[Any], str] = {
    EventRow: "events",
    TicketRow: "tickets",
    RsvpRow: "rsvps",
    PaymentProofRow: "payment_proofs",
}
SPELLED = {"timestamptz": "timestamp with time zone", "int4": "integer", "int8": "bigint"}

IN_ARGUMENTS = """
select argument.name, format_type(argument.type, null) as type
  from pg_proc p,
       unnest(p.proargnames,
              coalesce(p.proallargtypes, p.proargtypes::oid[]),
              coalesce(p.proargmodes, array_fill('i'::"char", array[p.pronargs])))
       with ordinality as argument (name, type, mode, position)
 where p.oid = ('public.' || $1)::regproc and argument.mode = 'i'
 order by argument.position
"""


def by_name(function: SqlFunction) -> str:
    return function.name


async def test_every_function_is_bound(connection: asyncpg.Connection) -> None:
    """The schema has no callable function without a binding, and no binding lacks its function."""
    rows = await connection.fetch(
        "select proname from pg_proc"
        " where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype"
    )
    assert sorted(row["proname"] for row in rows) == sorted(function.name for function in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_arguments(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """Names, types and order of the arguments are those of pg_proc."""
    rows = await connection.fetch(IN_ARGUMENTS, function.name)
    assert [(row["name"], row["type"]) for row in rows] == list(function.arguments.items())


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_python_signature(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """The Python function takes the same arguments in the same order, typed alike, and the same defaults."""
    binding = getattr(ticketing, function.name)
    hints = get_type_hints(binding)
    _, *parameters = inspect.signature(binding).parameters.values()
    names = [name.removeprefix("p_").removesuffix("_param") for name in function.arguments]
    assert [parameter.name for parameter in parameters] == names
    defaults = await connection.fetchval(
        "select pronargdefaults from pg_proc where oid = ('public.' || $1)::regproc", function.name
    )
    optional = [parameter for parameter in parameters if parameter.default is not parameter.empty]
    assert len(optional) == defaults
    for parameter, sql_type in zip(parameters, function.arguments.values(), strict=True):
        expected = PYTHON_TYPES[sql_type]
        assert hints[parameter.name] == (expected | None if parameter in optional else expected)


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_returned_columns(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """The columns that come back are the fields of the row, in order, and nothing more than declared."""
    statement = await connection.prepare(function.call)
    columns = [(column.name, spelled(column.type.name)) for column in statement.get_attributes()]
    hints = get_type_hints(function.row)
    row, extra = columns[: len(hints)], columns[len(hints) :]
    assert [name for name, _ in row] == [field.name for field in fields(function.row)]
    for name, sql_type in row:
        assert hints[name] in (PYTHON_TYPES[sql_type], PYTHON_TYPES[sql_type] | None)
    assert extra == list(function.extra.items())


async def test_create_rsvp_returns_its_dataclass(connection: asyncpg.Connection) -> None:
    """What create_rsvp returns beside the row are the other fields of RsvpCreated."""
    (function,) = [function for function in FUNCTIONS if function.name == "create_rsvp"]
    expected = {"rsvp": function.row, **{name: PYTHON_TYPES[type_] for name, type_ in function.extra.items()}}
    assert get_type_hints(RsvpCreated) == expected


@pytest.mark.parametrize(("row", "table"), TABLES.items(), ids=TABLES.values())
async def test_rows_are_their_tables(connection: asyncpg.Connection, row: type[Any], table: str) -> None:
    """Each field is a column: same name, order and type, and None exactly where NULL is allowed."""
    columns = await connection.fetch(
        "select column_name, data_type, is_nullable = 'YES' as nullable from information_schema.columns"
        " where table_schema = 'public' and table_name = $1 order by ordinal_position",
        table,
    )
    expected = {
        column["column_name"]: PYTHON_TYPES[column["data_type"]]
        | (None if column["nullable"] else PYTHON_TYPES[column["data_type"]])
        for column in columns
    }
    assert list(get_type_hints(row).items()) == list(expected.items())


async def test_drift_is_noticed(connection: asyncpg.Connection) -> None:
    """These tests can fail: a column more, or an argument of another type, is seen."""
    await connection.execute(
        "alter table tickets add column seat text;"
        "drop function get_ticket_availability(bigint);"
        "create function get_ticket_availability(event_id_param integer) returns table (id text)"
        " language sql as 'select null::text'"
    )
    with pytest.raises(AssertionError):
        await test_rows_are_their_tables(connection, TicketRow, "tickets")
    (availability,) = [function for function in FUNCTIONS if function.name == "get_ticket_availability"]
    with pytest.raises(AssertionError):
        await test_arguments(connection, availability)


def spelled(name: str) -> str:
    """Return a type's name as SQL spells it; asyncpg tells the internal one."""
    return SPELLED.get(name, name)
