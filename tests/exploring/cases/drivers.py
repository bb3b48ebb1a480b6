"""Running a design through a driver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg2
import psycopg2.errors

from tests.exploring.cases.designs import TakenError

if TYPE_CHECKING:
    from harness.model import Outcome
    from tests.exploring.cases.designs import Statements

_PLACEHOLDER = re.compile(r"\$(\d)")
_WORDS = ("BEGIN", "COMMIT", "ROLLBACK")


async def through_asyncpg(db: Any, statements: Statements) -> Outcome:
    """Run a design on a connection of asyncpg, or of its pool."""
    try:
        wanted = statements.send(None)
        while True:
            sql, *arguments = wanted
            try:
                got = await (db.execute(sql) if sql in _WORDS else db.fetchval(sql, *arguments))
            except asyncpg.UniqueViolationError:
                wanted = statements.throw(TakenError())
            else:
                wanted = statements.send(got)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the generator returns is an outcome


def through_psycopg2(db: Any, statements: Statements) -> Outcome:
    """Run a design on a connection of psycopg2, blocking; BEGIN and COMMIT are left to the driver."""
    try:
        wanted = statements.send(None)
        while True:
            sql, *arguments = wanted
            try:
                got = _ask_psycopg2(db, sql, arguments)
            except psycopg2.errors.UniqueViolation:
                wanted = statements.throw(TakenError())
            else:
                wanted = statements.send(got)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # what the generator returns is an outcome


def _ask_psycopg2(db: Any, sql: str, arguments: list[Any]) -> Any:
    if sql == "BEGIN":
        db.autocommit = False
    elif sql in _WORDS:
        db.commit() if sql == "COMMIT" else db.rollback()
        db.autocommit = True
    else:
        with db.cursor() as cursor:
            cursor.execute(
                _PLACEHOLDER.sub(r"%(a\1)s", sql), {f"a{n + 1}": a for n, a in enumerate(arguments)}
            )
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    return None
