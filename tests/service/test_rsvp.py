"""The contract of ``/api/rsvp`` and of the availability, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.service.running import tally

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


async def test_an_rsvp_takes_one_ticket_and_answers_with_it(sale: Sale) -> None:
    """201 carries the RSVP as it stands in the books and what is left."""
    response = await sale.rsvp("ann")
    assert response.status_code == 201
    answer = response.json()
    assert answer["success"] is True
    assert answer["remainingTickets"] == 9
    expected = {"eventId": sale.event, "userId": "ann", "ticketId": sale.ticket, "status": "confirmed"}
    assert answer["rsvp"] | expected == answer["rsvp"]
    assert await sale.sold() == 1


async def test_twenty_people_for_ten_tickets(sale: Sale) -> None:
    """The story's rush: exactly as many are let in as there are tickets, the others are sold out."""
    responses = await asyncio.gather(*(sale.rsvp(f"user-{number}") for number in range(20)))
    assert tally(responses) == {(201, None): 10, (409, "sold_out"): 10}
    assert sorted(r.json()["remainingTickets"] for r in responses if r.status_code == 201) == [*range(10)]
    assert await sale.sold() == 10


async def test_one_person_five_times_at_once(sale: Sale) -> None:
    """One RSVP per person and event, also when all five requests arrive together."""
    responses = await asyncio.gather(*(sale.rsvp("ann") for _ in range(5)))
    assert tally(responses) == {(201, None): 1, (409, "duplicate_rsvp"): 4}
    assert await sale.sold() == 1


async def test_after_the_deadline_nothing_is_sold(service: Service) -> None:
    """A sale whose deadline has passed answers 410."""
    closed = await service.sale(deadline=datetime.now(UTC) - timedelta(seconds=1))
    response = await closed.rsvp()
    assert (response.status_code, response.json()["error"]) == (410, "sale_closed")
    assert await closed.sold() == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"eventId": None}, "eventId"),
        ({"eventId": "1"}, "eventId"),
        ({"eventId": True}, "eventId"),
        ({"eventId": 0}, "eventId"),
        ({"eventId": 2**53}, "eventId"),
        ({"eventId": 1.5}, "eventId"),
        ({"userId": ""}, "userId"),
        ({"userId": " \t"}, "userId"),
        ({"userId": "a\x00"}, "userId"),
        ({"userId": "a" * 201}, "userId"),
        ({"name": "   "}, "name"),
        ({"name": ["Ann"]}, "name"),
        ({"email": "ann"}, "email"),
        ({"email": "ann@example.org\n"}, "email"),
        ({"email": "a" * 320 + "@b"}, "email"),
        ({"ticketId": 7}, "ticketId"),
        ({"ticketId": ""}, "ticketId"),
        ({"paymentProofUrl": ""}, "paymentProofUrl"),
        ({"paymentProofUrl": "http://example.org/proof.png"}, "paymentProofUrl"),
        ({"paymentProofUrl": "javascript:alert(1)"}, "paymentProofUrl"),
        ({"paymentProofUrl": "https://[broken/x"}, "paymentProofUrl"),
        ({"paymentProofUrl": "https://a/" + "x" * 2000}, "paymentProofUrl"),
        ({"paymentProofUrl": 7}, "paymentProofUrl"),
    ],
)
async def test_a_malformed_field_is_named(sale: Sale, change: dict[str, Any], field: str) -> None:
    """400 says which field it is and what it must be, and nothing is taken."""
    response = await sale.rsvp(**change)
    assert (response.status_code, response.json()["error"]) == (400, "invalid")
    assert response.json()["message"].startswith(f"{field} must be ")
    assert await sale.sold() == 0


async def test_every_missing_field_is_named_at_once(service: Service) -> None:
    """Nobody has to find out one field at a time."""
    response = await service.client.post("/api/rsvp", json={"name": 1})
    assert response.status_code == 400
    assert response.json()["message"] == (
        "eventId is missing; userId is missing; name must be 1 to 200 characters, not only blanks;"
        " email is missing; ticketId is missing."
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b'{"name":"\xff"}', b'{"name":"\\ud800"}', b"[" * 50_000, b"\x00"],
)
async def test_a_body_that_is_no_json_object(service: Service, body: bytes) -> None:
    """Anything but a JSON object in UTF-8 is refused with 400, never with 500."""
    headers = {"Content-Type": "application/json"}
    response = await service.client.post("/api/rsvp", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid")
    assert "JSON" in response.json()["message"]


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
)
async def test_a_body_of_another_type(sale: Sale, media_type: str) -> None:
    """A body that says it is no JSON is refused with 415."""
    content = json.dumps(sale.request())
    response = await sale.service.client.post(
        "/api/rsvp", content=content, headers={"Content-Type": media_type}
    )
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")
    assert await sale.sold() == 0


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain;charset=UTF-8"}])
async def test_the_storys_script_works_as_it_stands(sale: Sale, headers: dict[str, str]) -> None:
    """``fetch`` with a string for a body sends text/plain, other clients no type at all: both are JSON."""
    content = json.dumps(sale.request())
    response = await sale.service.client.post("/api/rsvp", content=content, headers=headers)
    assert response.status_code == 201


async def test_a_body_that_is_too_large(sale: Sale) -> None:
    """More than 64 KiB is refused with 413 without being read."""
    response = await sale.rsvp(name="x" * 70_000)
    assert (response.status_code, response.json()["error"]) == (413, "too_large")


@pytest.mark.parametrize("change", [{"ticketId": "no-such-ticket"}, {"eventId": 2**53 - 1}])
async def test_an_unknown_ticket_or_event(sale: Sale, change: dict[str, Any]) -> None:
    """404 when the event has no such ticket, or does not exist."""
    response = await sale.rsvp(**change)
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


async def test_a_ticket_of_another_event(service: Service, sale: Sale) -> None:
    """A ticket is sold under its own event only."""
    other = await service.sale()
    assert (await sale.rsvp(ticketId=other.ticket)).status_code == 404
    assert await other.sold() == 0


async def test_unknown_routes_and_methods_answer_in_the_same_shape(service: Service) -> None:
    """Every error body is one shape, also where no handler was reached."""
    for method, path, status, code in (
        ("GET", "/api/nowhere", 404, "not_found"),
        ("PUT", "/api/rsvp", 405, "method_not_allowed"),
    ):
        response = await service.client.request(method, path)
        assert response.status_code == status
        assert response.json().keys() == {"success", "error", "message"}
        assert response.json()["error"] == code


async def test_cancelling_gives_back_once(sale: Sale) -> None:
    """The second time the answer is the same, and nothing more is given back."""
    rsvp = (await sale.rsvp()).json()["rsvp"]
    first = await sale.service.client.delete(f"/api/rsvp/{rsvp['id']}")
    second = await sale.service.client.delete(f"/api/rsvp/{rsvp['id']}")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert first.json()["rsvp"]["status"] == "cancelled"
    assert await sale.sold() == 0


async def test_cancelling_five_times_at_once(sale: Sale) -> None:
    """Cancellations that race give back one ticket together."""
    rsvp = (await sale.rsvp()).json()["rsvp"]
    await asyncio.gather(*(sale.service.client.delete(f"/api/rsvp/{rsvp['id']}") for _ in range(5)))
    assert await sale.sold() == 0


async def test_a_cancelled_ticket_is_sold_again(service: Service) -> None:
    """What was given back can be bought, by the same person too."""
    single = await service.sale(1)
    rsvp = (await single.rsvp("ann")).json()["rsvp"]
    assert (await single.rsvp("bob")).json()["error"] == "sold_out"
    await service.client.delete(f"/api/rsvp/{rsvp['id']}")
    assert (await single.rsvp("ann")).status_code == 201
    assert await single.sold() == 1


async def test_cancelling_what_never_was(service: Service) -> None:
    """404 for an unknown RSVP, 400 for what is no id."""
    assert (await service.client.delete(f"/api/rsvp/{uuid4()}")).status_code == 404
    assert (await service.client.delete("/api/rsvp/7")).status_code == 400


async def test_availability_counts_what_was_sold(sale: Sale) -> None:
    """Available and sold add up to what there was."""
    await sale.rsvp("ann")
    await sale.rsvp("bob")
    response = await sale.service.client.get(f"/api/events/{sale.event}/availability")
    assert response.json()["tickets"] == [
        {
            "ticketId": sale.ticket,
            "name": "Ticket",
            "price": "10.00",
            "available": 8,
            "sold": 2,
            "purchaseDeadline": None,
        }
    ]


@pytest.mark.parametrize(("event", "status"), [(2**53 - 1, 404), (2**70, 400), (0, 400), ("x", 400)])
async def test_availability_of_no_event(service: Service, event: object, status: int) -> None:
    """An unknown event is 404, what is no event number is 400."""
    assert (await service.client.get(f"/api/events/{event}/availability")).status_code == status


async def test_healthz_answers_when_the_pool_does(service: Service) -> None:
    """200 means that a pooled connection reached Postgres."""
    assert (await service.client.get("/healthz")).status_code == 200
