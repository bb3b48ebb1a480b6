"""Idempotency keys: same key, same answer, once in the books.

One transaction does it all; there is nothing to clean up after a crash::

    async with connection.transaction():
        stored = await begin_idempotent(connection, key, fingerprint)
        if stored is None:
            try:
                async with connection.transaction():      # a savepoint, so that a refusal can be stored
                    answer = ... create_rsvp(connection, ...)
            except RetryableError:
                raise                                      # rolls everything back, the key too
            except TicketingError as refusal:
                answer = ...
            await finish_idempotent(connection, key, answer.status, answer.body)

Whoever comes with the same key meanwhile waits inside :func:`begin_idempotent`. Lock order: the key comes
before everything that ``create_rsvp`` locks, so that waiting here holds up nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.ticketing.refusals import IdempotencyKeyReusedError, refusals

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer the first request with this key got."""

    status: int
    """HTTP status."""
    body: Any
    """JSON as Python data."""


async def begin_idempotent(connection: asyncpg.Connection, key: str, fingerprint: str) -> StoredAnswer | None:
    """Claim the key, or wait for whoever has it and return the answer stored with it.

    ``None`` means that this is the first request with the key: do the work and call
    :func:`finish_idempotent`, in the same transaction.

    :param fingerprint: digest of the request, 1 to 255 characters.
    :raises IdempotencyKeyReusedError: when the key belongs to a request with another fingerprint.
    :raises InvalidRsvpError: when the key is empty or longer than 255 characters.
    :raises RuntimeError: when no transaction is open: a claim that commits by itself protects nothing.
    """
    if not connection.is_in_transaction():
        raise RuntimeError("begin_idempotent needs an open transaction")
    while True:
        with refusals(inserting=True):
            claimed = await connection.fetchval(
                "insert into public.idempotency_keys (key, fingerprint) values ($1, $2)"
                " on conflict (key) do nothing returning true",
                key,
                fingerprint,
            )
        if claimed:
            return None
        stored = await _stored(connection, key, fingerprint)
        if stored is not None:
            return stored
        # Old keys are deleted now and then; this one was, between the two statements.


async def finish_idempotent(connection: asyncpg.Connection, key: str, status: int, body: Any) -> None:
    """Store the answer of the key claimed in this transaction.

    :param status: HTTP status.
    :param body: anything :func:`json.dumps` takes.
    :raises RuntimeError: when the key was not claimed, or has its answer already.
    """
    with refusals(inserting=True):
        done = await connection.fetchval(
            "update public.idempotency_keys set status = $2, response = $3::text::jsonb"
            " where key = $1 and status is null returning true",
            key,
            status,
            json.dumps(body),
        )
    if not done:
        raise RuntimeError("finish_idempotent without begin_idempotent in the same transaction")


async def _stored(connection: asyncpg.Connection, key: str, fingerprint: str) -> StoredAnswer | None:
    """Read the stored answer; ``None`` when the key is gone."""
    with refusals():
        # As text, so that a JSON codec set on the connection makes no difference.
        record = await connection.fetchrow(
            "select fingerprint, status, response::text as response"
            " from public.idempotency_keys where key = $1",
            key,
        )
    if record is None:
        return None
    if record["fingerprint"] != fingerprint:
        raise IdempotencyKeyReusedError("This idempotency key was used for another request.")
    return StoredAnswer(status=record["status"], body=json.loads(record["response"]))
