"""Idempotency-Key: the same request sent twice is answered once and told twice.

Theory of operation. The key is claimed in the very transaction that does the work and that stores the
answer beside it. So there is no moment at which a key is taken and its answer missing: a second request
with the same key waits at the key's row until the first one commits (and then reads the answer) or rolls
back (and then does the work itself). What the books refuse for good is stored too, after a savepoint has
undone its partial effects. Every other error undoes everything, the claim included, so that trying again
is trying for the first time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from harness.service.answers import Answer, refusal_answer
from harness.service.errors import refusal_of
from harness.ticketing import TicketingError, begin_idempotent, finish_idempotent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

Body = TypeVar("Body", bound=msgspec.Struct)

REPLAYED = {"Idempotency-Replayed": "true"}
"""The header by which a stored answer can be told from a first one."""


def fingerprint(asked: str, request: msgspec.Struct) -> str:
    """Return what tells one request from another; layout and ignored fields do not count.

    :param asked: its method and path.
    """
    return hashlib.sha256(asked.encode() + b"\n" + msgspec.json.encode(request)).hexdigest()


@dataclass(frozen=True, slots=True)
class Asked(Generic[Body]):
    """A request as its Idempotency-Key knows it."""

    key: str | None
    what: str
    """Its method and path."""
    body: Body


async def answer_once(
    connection: asyncpg.Connection, asked: Asked[Any], work: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Return the answer stored under the key, or do the work on this connection and store its answer.

    Without a key, just do the work.

    :raises IdempotencyKeyReusedError: when the key belongs to another request.
    """
    if asked.key is None:
        return await work()
    async with connection.transaction(isolation="read_committed"):
        stored = await begin_idempotent(connection, asked.key, fingerprint(asked.what, asked.body))
        if stored is not None:
            return Answer(stored.status, stored.body, REPLAYED)
        answer = await _attempt(connection, work)
        await finish_idempotent(connection, asked.key, answer.status, answer.body)
    return answer


async def _attempt(connection: asyncpg.Connection, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the work's answer or, when the books refused it for good, that refusal."""
    try:
        async with connection.transaction():
            return await work()
    except TicketingError as error:
        if not refusal_of(error).definitive:
            raise
        return refusal_answer(error)
