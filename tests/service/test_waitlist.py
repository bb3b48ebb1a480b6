"""The waiting list: joined when nothing is left, served in order, left at will."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.service.running import some_key

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


@pytest_asyncio.fixture
async def sold_out(service: Service) -> tuple[Sale, str]:
    """A sale whose only ticket is Ann's, and her RSVP."""
    sale = await service.sale(1)
    return sale, (await sale.rsvp("ann")).json()["rsvp"]["id"]


async def test_the_first_in_line_gets_what_comes_back(sold_out: tuple[Sale, str]) -> None:
    """In order, at once, under the id that was told; a newcomer gets nothing."""
    sale, rsvp = sold_out
    places = [await sale.wait(user) for user in ("zoe", "bob")]
    assert [place.status_code for place in places] == [201, 201]
    assert [place.json()["position"] for place in places] == [1, 2]
    await sale.service.client.delete(f"/api/rsvp/{rsvp}")
    assert await sale.people() == ["zoe"]
    assert (await sale.rsvp("cem")).json()["error"] == "sold_out"
    await sale.service.client.delete(f"/api/rsvp/{places[0].json()['id']}", params={"userId": "zoe"})
    assert await sale.people() == ["bob"]
    assert await sale.sold() == 1


async def test_nobody_waits_for_what_is_to_be_had(sale: Sale) -> None:
    """400 while something is left."""
    response = await sale.wait("bob")
    assert (response.status_code, response.json()["error"]) == (400, "invalid")


async def test_nobody_waits_twice_or_beside_an_rsvp(sold_out: tuple[Sale, str]) -> None:
    """409, as for a second RSVP."""
    sale, _ = sold_out
    await sale.wait("bob")
    for user in ("ann", "bob"):
        assert (await sale.wait(user)).json()["error"] == "duplicate_rsvp"


async def test_who_leaves_the_line_gets_nothing(sold_out: tuple[Sale, str]) -> None:
    """Whatever characters the id has; and who does not wait cannot leave."""
    sale, rsvp = sold_out
    await sale.wait("bob/../böb?")
    place = f"/api/events/{sale.event}/waitlist/bob%2F..%2Fb%C3%B6b%3F"
    other = await sale.service.client.delete(place, params={"ticketId": "another"})
    assert (other.status_code, other.json()["error"]) == (404, "not_found")
    left = await sale.service.client.delete(place, params={"ticketId": sale.ticket})
    assert left.status_code == 200
    again = await sale.service.client.delete(place)
    assert (again.status_code, again.json()["error"]) == (404, "not_found")
    await sale.service.client.delete(f"/api/rsvp/{rsvp}")
    assert await sale.people() == []


async def test_the_same_key_waits_once(sold_out: tuple[Sale, str]) -> None:
    """The same place both times."""
    sale, _ = sold_out
    key = some_key()
    first, second = await sale.wait("bob", key=key), await sale.wait("bob", key=key)
    assert first.content == second.content
    assert (await sale.rsvp("bob", key=key)).json()["error"] == "idempotency_key_reused"


async def test_what_cannot_be_waited_for(service: Service, sold_out: tuple[Sale, str]) -> None:
    """Unknown tickets, a sale that has ended, people without a name."""
    sale, _ = sold_out
    assert (await sale.wait("bob", ticketId="none")).status_code == 404
    assert (await sale.wait("bob", name=" ")).status_code == 400
    ended = await service.sale(0, deadline=datetime.now(UTC) - timedelta(seconds=1))
    assert (await ended.wait("bob")).json()["error"] == "sale_closed"
    assert (await service.client.delete("/api/events/0/waitlist/bob")).status_code == 400
