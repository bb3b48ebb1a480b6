"""What organizers do: refunds, capacities, statistics; and who may cancel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


async def capacity(sale: Sale, number: Any) -> Any:
    """Change how many there are to sell."""
    return await sale.service.client.put(f"/api/tickets/{sale.ticket}/capacity", json={"capacity": number})


async def sales(sale: Sale, **query: str) -> Any:
    """Return the statistics of a sale."""
    response = await sale.service.client.get(f"/api/tickets/{sale.ticket}/sales", params=query)
    assert response.status_code == 200
    return response.json()


async def test_nobody_cancels_what_is_somebody_elses(sale: Sale) -> None:
    """403 for who says that they are somebody else; the owner can, and so can who needs not say."""
    rsvp = (await sale.rsvp("ann")).json()["rsvp"]["id"]
    refused = await sale.service.client.delete(f"/api/rsvp/{rsvp}", params={"userId": "bob"})
    assert (refused.status_code, refused.json()["error"]) == (403, "not_owner")
    assert await sale.sold() == 1
    for who in ({"userId": "ann"}, {"userId": "ann"}, {}):
        assert (await sale.service.client.delete(f"/api/rsvp/{rsvp}", params=who)).status_code == 200
    assert await sale.sold() == 0
    refused = await sale.service.client.delete(f"/api/rsvp/{rsvp}", params={"userId": " "})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid")


async def test_a_refund_is_paid_once(sale: Sale) -> None:
    """Asked five times at once, it is one refund of what was paid, and one ticket comes back."""
    rsvp = (await sale.rsvp()).json()["rsvp"]["id"]
    responses = await asyncio.gather(
        *(sale.service.client.post(f"/api/rsvp/{rsvp}/refund") for _ in range(5))
    )
    assert {response.status_code for response in responses} == {200}
    assert {response.content for response in responses} == {responses[0].content}
    assert responses[0].json()["refund"]["amount"] == "10.00"
    assert responses[0].json()["refund"]["rsvpId"] == rsvp
    assert await sale.sold() == 0
    assert await sale.service.fetchval("SELECT count(*) FROM refunds WHERE rsvp_id = $1", rsvp) == 1


async def test_what_cannot_be_refunded(sale: Sale) -> None:
    """What was cancelled without one, what never was, and what is no id."""
    rsvp = (await sale.rsvp()).json()["rsvp"]["id"]
    await sale.service.client.delete(f"/api/rsvp/{rsvp}")
    for path, status in ((rsvp, 400), (uuid4(), 404), ("seven", 400)):
        assert (await sale.service.client.post(f"/api/rsvp/{path}/refund")).status_code == status


async def test_the_capacity_never_goes_below_what_is_taken(sale: Sale) -> None:
    """Holds count as well; the numbers of the refused change stay as they were."""
    await sale.rsvp("ann")
    await sale.hold("bob")
    refused = await capacity(sale, 1)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid")
    lowered = await capacity(sale, 2)
    assert lowered.status_code == 200
    assert lowered.json()["ticket"] | {"capacity": 2, "available": 0} == lowered.json()["ticket"]
    assert (await sale.rsvp("cem")).json()["error"] == "sold_out"


async def test_more_capacity_serves_the_line_first(service: Service) -> None:
    """Who waits gets what is new, and only the rest is for sale."""
    sale = await service.sale(0)
    await sale.wait("ann")
    raised = await capacity(sale, 2)
    assert raised.json()["ticket"]["available"] == 1
    assert await sale.people() == ["ann"]


@pytest.mark.parametrize("number", [-1, 1.5, "2", None, 2**31])
async def test_a_capacity_that_is_none(sale: Sale, number: Any) -> None:
    """400 says what it must be."""
    refused = await capacity(sale, number)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid")
    assert refused.json()["message"].startswith("capacity must be a whole number from 0")


async def test_the_statistics_say_what_stands(sale: Sale) -> None:
    """Bought, cancelled and standing, in every length of time; empty where nothing was ever sold."""
    assert (await sales(sale))["sales"] == []
    rsvps = [(await sale.rsvp(user)).json()["rsvp"]["id"] for user in ("ann", "bob", "cem")]
    await sale.service.client.delete(f"/api/rsvp/{rsvps[0]}")
    for bucket in ("minute", "hour", "day"):
        answer = await sales(sale, bucket=bucket)
        assert answer["bucket"] == bucket
        assert sum(point["sold"] for point in answer["sales"]) == 3
        assert sum(point["cancelled"] for point in answer["sales"]) == 1
        assert answer["sales"][-1]["standing"] == 2


async def test_statistics_that_cannot_be_had(service: Service, sale: Sale) -> None:
    """404 for an unknown ticket type, 400 for a bucket that is none."""
    assert (await service.client.get("/api/tickets/none/sales")).status_code == 404
    assert (await service.client.put("/api/tickets/none/capacity", json={"capacity": 1})).status_code == 404
    refused = await service.client.get(f"/api/tickets/{sale.ticket}/sales", params={"bucket": "year"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid")
