"""The bindings against the database's own catalog: fails when either side drifts."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, get_type_hints
from uuid import UUID

import asyncpg
import pytest

from harness import ticketing
from harness.ticketing import (
    EventRow,
    HoldCreated,
    HoldRow,
    PaymentProofRow,
    RefundRow,
    RsvpCreated,
    RsvpRow,
    TicketRow,
    WaitlistJoined,
    WaitlistRow,
)
from harness.ticketing.functions import FUNCTIONS, SqlFunction

PYTHON_TYPES: dict[str, Any] = {
    "bigint": int,
    "integer": int,
    "text": str,
    "uuid": UUID,
    "numeric": Decimal,
    "bytea": bytes,
    "timestamp with time zone": datetime,
    "interval": timedelta,
    "text[]": Sequence[str],
}
TABLES: dict[type[Any], str] = {
    EventRow: "events",
    TicketRow: "tickets",
    RsvpRow: "rsvps",
    PaymentProofRow: "payment_proofs",
    RefundRow: "refunds",
}
VIEWS: dict[type[Any], str] = {HoldRow: "holds", WaitlistRow: "waitlist"}
ANSWERS: dict[str, type[Any]] = {
    "create_rsvp": RsvpCreated,
    "confirm_hold": RsvpCreated,
    "create_hold": HoldCreated,
    "join_waitlist": WaitlistJoined,
}
SPELLED = {
    "timestamptz": "timestamp with time zone",
    "int4": "integer",
    "int8": "bigint",
    "_text": "text[]",
}

IN_ARGUMENTS = """
select argument.name, format_type(argument.type, null) as type
  from pg_proc p,
       unnest(p.proargnames,
              coalesce(p.proallargtypes, p.proargtypes::oid[]),
              coalesce(p.proargmodes, array_fill('i'::"char", array[p.pronargs])))
       with ordinality as argument (name, type, mode, position)
 where p.oid = $1::regprocedure and argument.mode = 'i'
 order by argument.position
"""


def by_name(function: SqlFunction) -> str:
    return f"{function.name}({', '.join(function.arguments.values())})"


def signature(function: SqlFunction) -> str:
    """Return what tells overloads of a function apart."""
    return f"public.{by_name(function)}"


async def test_every_function_is_bound(connection: asyncpg.Connection) -> None:
    """The schema has no function for the service without a binding, and no binding lacks its function."""
    rows = await connection.fetch(
        "select oid::regprocedure::text as signature from pg_proc"
        " where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype"
        "   and has_function_privilege('service_role', oid, 'execute')"
    )
    found = sorted(row["signature"] for row in rows)
    assert found == sorted(by_name(function).replace(", ", ",") for function in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_arguments(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """Names, types and order of the arguments are those of pg_proc."""
    rows = await connection.fetch(IN_ARGUMENTS, signature(function))
    assert [(row["name"], row["type"]) for row in rows] == list(function.arguments.items())


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_python_signature(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """The Python function takes the same arguments in the same order, typed alike, and the same defaults.

    What one overload takes and another does not may be left out.
    """
    binding = getattr(ticketing, function.name)
    hints = get_type_hints(binding)
    _, *parameters = inspect.signature(binding).parameters.values()
    names = [name.removeprefix("p_").removesuffix("_param") for name in function.arguments]
    assert [parameter.name for parameter in parameters][: len(names)] == names
    overloads = [other.arguments for other in FUNCTIONS if other.name == function.name]
    assert len(parameters) == max(len(arguments) for arguments in overloads)
    defaults = await connection.fetchval(
        "select pronargdefaults from pg_proc where oid = $1::regprocedure", signature(function)
    )
    optional = [parameter for parameter in parameters if parameter.default is not parameter.empty]
    assert len(optional) == defaults + max(map(len, overloads)) - min(map(len, overloads))
    for parameter, sql_type in zip(parameters, function.arguments.values(), strict=False):
        expected = PYTHON_TYPES[sql_type]
        hint = hints[parameter.name]
        assert hint == (expected | None if parameter.default is None else expected)


@pytest.mark.parametrize("function", FUNCTIONS, ids=by_name)
async def test_returned_columns(connection: asyncpg.Connection, function: SqlFunction) -> None:
    """The columns that come back are the fields of the row, in order, and nothing more than declared."""
    statement = await connection.prepare(function.call)
    columns = [(column.name, spelled(column.type.name)) for column in statement.get_attributes()]
    if function.row is int:
        assert [sql_type for _, sql_type in columns] == ["integer"]
        return
    hints = get_type_hints(function.row)
    row, extra = columns[: len(hints)], columns[len(hints) :]
    assert [name for name, _ in row] == [field.name for field in fields(function.row)]
    for name, sql_type in row:
        assert hints[name] in (PYTHON_TYPES[sql_type], PYTHON_TYPES[sql_type] | None)
    assert extra == list(function.extra.items())


@pytest.mark.parametrize(("name", "answer"), ANSWERS.items(), ids=list(ANSWERS))
def test_answers_are_their_dataclasses(name: str, answer: type[Any]) -> None:
    """What such a function returns beside the row are the other fields of its answer."""
    (function,) = [function for function in FUNCTIONS if function.name == name]
    row, *others = get_type_hints(answer).items()
    assert row[1] is function.row
    assert dict(others) == {name: PYTHON_TYPES[type_] for name, type_ in function.extra.items()}


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


@pytest.mark.parametrize(("row", "view"), VIEWS.items(), ids=VIEWS.values())
async def test_rows_are_their_views(connection: asyncpg.Connection, row: type[Any], view: str) -> None:
    """Each field is a column of the view: same name, order and type."""
    columns = await connection.fetch(
        "select column_name, data_type from information_schema.columns"
        " where table_schema = 'public' and table_name = $1 order by ordinal_position",
        view,
    )
    expected = [(column["column_name"], PYTHON_TYPES[column["data_type"]]) for column in columns]
    assert list(get_type_hints(row).items()) == expected


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
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await test_arguments(connection, availability)


def spelled(name: str) -> str:
    """Return a type's name as SQL spells it; asyncpg tells the internal one."""
    return SPELLED.get(name, name)
