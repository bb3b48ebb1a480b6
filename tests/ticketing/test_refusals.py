"""Errors of the database become refusals by SQLSTATE; others pass; payment proofs are kept or refused."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest

from harness.ticketing import (
    DuplicateRsvpError,
    HoldExpiredError,
    InvalidRsvpError,
    NotFoundError,
    NotOwnerError,
    RetryableError,
    SaleClosedError,
    SoldOutError,
    TicketingError,
    find_payment_proof,
    store_payment_proof,
)
from harness.ticketing.refusals import refusals


@pytest.mark.parametrize(
    ("sqlstate", "kind", "code"),
    [
        ("OS001", SoldOutError, "sold_out"),
        ("OS002", DuplicateRsvpError, "duplicate_rsvp"),
        ("OS003", SaleClosedError, "sale_closed"),
        ("OS004", InvalidRsvpError, "invalid"),
        ("OS005", NotFoundError, "not_found"),
        ("OS006", NotOwnerError, "not_owner"),
        ("OS007", HoldExpiredError, "hold_expired"),
        ("22003", InvalidRsvpError, "invalid"),
        ("40001", RetryableError, "retryable"),
        ("40P01", RetryableError, "retryable"),
        ("53300", RetryableError, "retryable"),
        ("55P03", RetryableError, "retryable"),
    ],
)
async def test_by_sqlstate(
    connection: asyncpg.Connection, sqlstate: str, kind: type[TicketingError], code: str
) -> None:
    """Each SQLSTATE, raised by a real server, becomes its class, with its code and the cause kept."""
    with pytest.raises(kind) as caught, refusals():
        await connection.execute(f"do $$ begin raise sqlstate '{sqlstate}' using hint = 'x'; end $$")
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, asyncpg.PostgresError)


@pytest.mark.parametrize("sqlstate", ["23503", "23505", "23514", "42501", "XX000", "57014", "OS999"])
async def test_others_pass(connection: asyncpg.Connection, sqlstate: str) -> None:
    """A violated constraint, a missing right or a bug is not dressed up as a refusal."""
    with pytest.raises(asyncpg.PostgresError) as caught, refusals():
        await connection.execute(f"do $$ begin raise sqlstate '{sqlstate}'; end $$")
    assert caught.value.sqlstate == sqlstate


async def test_payment_proof_comes_back(connection: asyncpg.Connection) -> None:
    """What was stored is found again, byte for byte, with its size; an unknown id finds nothing."""
    stored = await store_payment_proof(connection, content_type="image/png", content=b"\x89PNG\0\xff")
    assert stored.size == 6
    assert await find_payment_proof(connection, stored.id) == stored
    assert await find_payment_proof(connection, uuid4()) is None


@pytest.mark.parametrize(
    ("content_type", "content"),
    [("image/png", b""), ("image/png", bytes(10 * 1024 * 1024 + 1)), ("png", b"x"), ("a/" + "b" * 99, b"x")],
    ids=["empty", "too large", "no type", "long type"],
)
async def test_payment_proof_refused(
    connection: asyncpg.Connection, content_type: str, content: bytes
) -> None:
    """What cannot be a payment proof is refused as invalid and not kept."""
    with pytest.raises(InvalidRsvpError):
        await store_payment_proof(connection, content_type=content_type, content=content)
    assert await connection.fetchval("select count(*) from payment_proofs") == 0
