"""Idempotency keys: same key, same answer, once in the books."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.ticketing import (
    IdempotencyKeyReusedError,
    InvalidRsvpError,
    RetryableError,
    StoredAnswer,
    TicketingError,
    begin_idempotent,
    finish_idempotent,
    list_rsvps,
)
from tests.ticketing.shop import buy, on_sale

if TYPE_CHECKING:
    from harness.ticketing import TicketRow
    from tests.ticketing.shop import Opening, UntilBlocked


async def serve(connection: asyncpg.Connection, ticket: TicketRow, person: str, key: str) -> StoredAnswer:
    """Do what the service does with one request."""
    async with connection.transaction():
        stored = await begin_idempotent(connection, key, f"digest of {person}")
        if stored is not None:
            return stored
        answer = await purchase(connection, ticket, person)
        await finish_idempotent(connection, key, answer.status, answer.body)
        return answer


async def purchase(connection: asyncpg.Connection, ticket: TicketRow, person: str) -> StoredAnswer:
    try:
        async with connection.transaction():
            created = await buy(connection, ticket, person)
    except RetryableError:
        raise
    except TicketingError as refusal:
        return StoredAnswer(409, {"error": refusal.code})
    return StoredAnswer(201, {"id": str(created.rsvp.id), "remaining": created.remaining})


async def test_same_key_at_once(opening: Opening) -> None:
    """Ten connections with one key at the same time get one and the same answer, and one RSVP is written."""
    callers = [await opening() for _ in range(10)]
    ticket = await on_sale(callers[0], 5)
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*(serve(caller, ticket, "ann", "k") for caller in callers))
    assert [answer.status for answer in answers] == [201] * 10
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    assert len(await list_rsvps(callers[0], ticket.event_id)) == 1


async def test_second_waits_for_the_first(opening: Opening, until_blocked: UntilBlocked) -> None:
    """The second with a key waits: for the answer if the first commits, to be first if it does not."""
    first, second = [await opening() for _ in range(2)]
    for decision, expected in (("commit", StoredAnswer(201, {"n": 1})), ("rollback", None)):
        transaction = first.transaction()
        await transaction.start()
        assert await begin_idempotent(first, decision, "f") is None

        async def begin(key: str) -> StoredAnswer | None:
            async with second.transaction():
                answer = await begin_idempotent(second, key, "f")
                if answer is None:
                    await finish_idempotent(second, key, 201, {"n": 2})
                return answer

        waiting = asyncio.create_task(begin(decision))
        await until_blocked(second)
        await finish_idempotent(first, decision, 201, {"n": 1})
        await getattr(transaction, decision)()
        assert await waiting == expected


async def test_refusal_is_kept(connection: asyncpg.Connection) -> None:
    """A refusal is an answer too: the same key gets it again although there would be a ticket by then."""
    ticket = await on_sale(connection, 0)
    first = await serve(connection, ticket, "ann", "k")
    assert first == StoredAnswer(409, {"error": "sold_out"})
    await connection.execute("update tickets set quantity_initial = 1, quantity_available = 1")
    assert await serve(connection, ticket, "ann", "k") == first
    assert (await serve(connection, ticket, "ann", "another")).status == 201


async def test_crash_leaves_no_key(connection: asyncpg.Connection) -> None:
    """When the work is rolled back, so is the key."""
    transaction = connection.transaction()
    await transaction.start()
    await begin_idempotent(connection, "k", "f")
    await transaction.rollback()
    assert await connection.fetchval("select count(*) from idempotency_keys") == 0


async def test_key_of_another_request(connection: asyncpg.Connection) -> None:
    """A key is not answered with what another request got."""
    ticket = await on_sale(connection, 2)
    await serve(connection, ticket, "ann", "k")
    with pytest.raises(IdempotencyKeyReusedError):
        await serve(connection, ticket, "bob", "k")


async def test_key_without_answer_cannot_be_committed(connection: asyncpg.Connection) -> None:
    """Forgetting to store the answer fails at commit and takes everything back."""
    with pytest.raises(asyncpg.CheckViolationError, match="without its answer"):
        async with connection.transaction():
            await begin_idempotent(connection, "k", "f")
    assert await connection.fetchval("select count(*) from idempotency_keys") == 0


async def test_used_wrongly(connection: asyncpg.Connection) -> None:
    """Outside a transaction, without a claim, or twice: a mistake of the caller's, said at once."""
    with pytest.raises(RuntimeError, match="open transaction"):
        await begin_idempotent(connection, "k", "f")
    with pytest.raises(RuntimeError, match="without begin_idempotent"):
        await finish_idempotent(connection, "k", 200, None)
    async with connection.transaction():
        await begin_idempotent(connection, "k", "f")
        await finish_idempotent(connection, "k", 204, None)
        with pytest.raises(RuntimeError, match="without begin_idempotent"):
            await finish_idempotent(connection, "k", 200, None)
    async with connection.transaction():
        assert await begin_idempotent(connection, "k", "f") == StoredAnswer(204, None)


@pytest.mark.parametrize("key", ["", "k" * 256, "nul\0"])
async def test_bad_keys(connection: asyncpg.Connection, key: str) -> None:
    """A key that cannot be kept is refused as invalid."""
    with pytest.raises(InvalidRsvpError):
        async with connection.transaction():
            await begin_idempotent(connection, key, "f")


async def test_json_codec_makes_no_difference(connection: asyncpg.Connection) -> None:
    """A connection on which somebody set a JSON codec stores and reads the same."""
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    async with connection.transaction():
        await begin_idempotent(connection, "k", "f")
        await finish_idempotent(connection, "k", 200, {"a": [1, "ü"]})
        assert await begin_idempotent(connection, "k", "f") == StoredAnswer(200, {"a": [1, "ü"]})


async def test_higher_isolation(opening: Opening, until_blocked: UntilBlocked) -> None:
    """Under SERIALIZABLE the second with a key is told to retry, since it cannot see the answer yet."""
    first, second = [await opening() for _ in range(2)]
    transaction = first.transaction()
    await transaction.start()
    await begin_idempotent(first, "k", "f")

    async def begin() -> StoredAnswer | None:
        async with second.transaction(isolation="serializable"):
            return await begin_idempotent(second, "k", "f")

    waiting = asyncio.create_task(begin())
    await until_blocked(second)
    await finish_idempotent(first, "k", 201, {})
    await transaction.commit()
    with pytest.raises(RetryableError):
        await waiting
    assert await begin() == StoredAnswer(201, {})
