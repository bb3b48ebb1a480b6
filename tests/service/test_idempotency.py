"""Idempotency-Key: same key, same answer, once in the books."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.service.running import some_key

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


async def test_the_same_key_brings_the_same_answer(sale: Sale) -> None:
    """Status and body agree to the byte, and one ticket is taken."""
    key = some_key()
    first, second = await sale.rsvp(key=key), await sale.rsvp(key=key)
    assert (first.status_code, first.content) == (201, second.content)
    assert second.status_code == 201
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await sale.sold() == 1


async def test_the_same_key_at_the_same_moment(sale: Sale) -> None:
    """Requests that arrive together wait for the first one's answer, and get it."""
    key = some_key()
    responses = await asyncio.gather(*(sale.rsvp(key=key) for _ in range(8)))
    assert {(response.status_code, response.content) for response in responses} == {
        (201, responses[0].content)
    }
    assert await sale.sold() == 1


async def test_a_second_request_waits_while_the_first_is_under_way(sale: Sale) -> None:
    """Held in the middle of the purchase, the first keeps the second waiting, and then both agree."""
    key = some_key()
    async with asyncio.TaskGroup() as tasks, sale.ticket_locked():
        both = [tasks.create_task(sale.rsvp(key=key)) for _ in range(2)]
        await sale.blocked(2)
    assert [task.result().status_code for task in both] == [201, 201]
    assert both[0].result().content == both[1].result().content
    assert await sale.sold() == 1


async def test_a_key_cannot_be_used_for_another_request(sale: Sale) -> None:
    """422, and nothing is taken for the second request."""
    key = some_key()
    await sale.rsvp("ann", key=key)
    response = await sale.rsvp("bob", key=key)
    assert (response.status_code, response.json()["error"]) == (422, "idempotency_key_reused")
    assert await sale.sold() == 1


async def test_a_definitive_refusal_is_kept(service: Service) -> None:
    """Sold out stays sold out under that key, although a ticket has come back meanwhile."""
    single = await service.sale(1)
    rsvp = (await single.rsvp("ann")).json()["rsvp"]
    key = some_key()
    refused = await single.rsvp("bob", key=key)
    await service.client.delete(f"/api/rsvp/{rsvp['id']}")
    again = await single.rsvp("bob", key=key)
    assert (refused.status_code, refused.content) == (409, again.content)
    assert again.status_code == 409
    assert (await single.rsvp("bob", key=some_key())).status_code == 201


async def test_a_mistake_does_not_use_up_the_key(sale: Sale) -> None:
    """After 400 and 404 the corrected request may come under the same key."""
    key = some_key()
    assert (await sale.rsvp(key=key, email="no address")).status_code == 400
    assert (await sale.rsvp(key=key, ticketId="no-such-ticket")).status_code == 404
    assert (await sale.rsvp(key=key)).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e9"])
async def test_a_key_that_is_none(sale: Sale, key: str) -> None:
    """A key is 1 to 255 visible ASCII characters; anything else is refused before anything is taken."""
    response = await sale.service.client.post(
        "/api/rsvp", json=sale.request(), headers={b"Idempotency-Key": key.encode("latin-1")}
    )
    assert (response.status_code, response.json()["error"]) == (400, "invalid")
    assert await sale.sold() == 0
