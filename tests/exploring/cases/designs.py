"""Eight ways to sell a ticket, four right and four wrong, as the statements that they send.

A design is a generator: it yields a statement with its arguments, gets the first column of the first row
back, and returns what the buyer is told. So the same design runs through any driver.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from harness.model import Outcome

Statements = Generator[tuple[Any, ...], Any, Outcome]

SCHEMA = """
    CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, initial int, remaining int);
    CREATE TABLE sales (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ticket bigint NOT NULL, person text NOT NULL,
        seat int, UNIQUE (ticket, seat)
    );
    CREATE FUNCTION buy(wanted bigint, buyer text) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE here int;
    BEGIN
        SELECT remaining INTO here FROM tickets WHERE id = wanted;
        IF here < 1 THEN RETURN false; END IF;
        UPDATE tickets SET remaining = here - 1 WHERE id = wanted;
        INSERT INTO sales (ticket, person) VALUES (wanted, buyer);
        RETURN true;
    END $$;
"""

BEGIN, COMMIT, ROLLBACK = ("BEGIN",), ("COMMIT",), ("ROLLBACK",)
READ = "SELECT remaining FROM tickets WHERE id = $1"
WRITE = "UPDATE tickets SET remaining = $2 WHERE id = $1"
SELL = "INSERT INTO sales (ticket, person) VALUES ($1, $2)"
GUARDED = (
    "INSERT INTO sales (ticket, person) SELECT $1::bigint, $2::text"
    " WHERE (SELECT count(*) FROM sales WHERE ticket = $1::bigint) < 1 RETURNING 1"
)


class TakenError(Exception):
    """A unique key was there already; thrown into a design at the statement that met it."""


def read_then_write(ticket: int, person: str) -> Statements:
    left = yield READ, ticket
    if left < 1:
        return Outcome.SOLD_OUT
    yield WRITE, ticket, left - 1
    yield SELL, ticket, person
    return Outcome.ACCEPTED


def for_update(ticket: int, person: str) -> Statements:
    yield BEGIN
    left = yield READ + " FOR UPDATE", ticket
    if left < 1:
        yield ROLLBACK
        return Outcome.SOLD_OUT
    yield WRITE, ticket, left - 1
    yield SELL, ticket, person
    yield COMMIT
    return Outcome.ACCEPTED


def guarded_update(ticket: int, person: str) -> Statements:
    yield BEGIN
    taken = yield (
        "UPDATE tickets SET remaining = remaining - 1 WHERE id = $1 AND remaining > 0 RETURNING 1",
        ticket,
    )
    if taken is None:
        yield ROLLBACK
        return Outcome.SOLD_OUT
    yield SELL, ticket, person
    yield COMMIT
    return Outcome.ACCEPTED


def advisory_lock(ticket: int, person: str) -> Statements:
    yield BEGIN
    yield "SELECT pg_advisory_xact_lock($1)", ticket
    left = yield READ, ticket
    if left < 1:
        yield ROLLBACK
        return Outcome.SOLD_OUT
    yield WRITE, ticket, left - 1
    yield SELL, ticket, person
    yield COMMIT
    return Outcome.ACCEPTED


def unique_seat(ticket: int, person: str) -> Statements:
    try:
        yield "INSERT INTO sales (ticket, person, seat) VALUES ($1, $2, 1)", ticket, person
    except TakenError:
        return Outcome.SOLD_OUT
    return Outcome.ACCEPTED


def function_with_commit_apart(ticket: int, person: str) -> Statements:
    yield BEGIN
    bought = yield "SELECT buy($1, $2)", ticket, person
    yield COMMIT
    return Outcome.ACCEPTED if bought else Outcome.SOLD_OUT


def guarded_insert_in_transaction(ticket: int, person: str) -> Statements:
    yield BEGIN
    bought = yield GUARDED, ticket, person
    yield COMMIT
    return Outcome.ACCEPTED if bought else Outcome.SOLD_OUT


def guarded_insert(ticket: int, person: str) -> Statements:
    bought = yield GUARDED, ticket, person
    return Outcome.ACCEPTED if bought else Outcome.SOLD_OUT


@dataclass(frozen=True)
class Design:
    """A way to sell, and whether it is right."""

    name: str
    buy: Callable[[int, str], Statements]
    oversells: bool
    counts: bool = True
    """It keeps the counter on the ticket."""


DESIGNS = {
    design.name: design
    for design in (
        Design("read_then_write", read_then_write, oversells=True),
        Design("for_update", for_update, oversells=False),
        Design("guarded_update", guarded_update, oversells=False),
        Design("advisory_lock", advisory_lock, oversells=False),
        Design("unique_seat", unique_seat, oversells=False, counts=False),
        Design("function_with_commit_apart", function_with_commit_apart, oversells=True),
        Design("guarded_insert_in_transaction", guarded_insert_in_transaction, oversells=True, counts=False),
        Design("guarded_insert", guarded_insert, oversells=True, counts=False),
    )
}
