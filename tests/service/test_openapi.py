"""The OpenAPI document itself. Every other test here holds its answers against it too (see ``running``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.service.running import PNG, Contract, some_key

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


@pytest.fixture
async def document(service: Service) -> dict[str, Any]:
    """The document as it is served."""
    found: dict[str, Any] = (await service.client.get("/schema/openapi.json")).json()
    return found


async def test_it_names_every_operation_of_the_contract(document: dict[str, Any]) -> None:
    """No route is missing, and none that is for people only is in it."""
    assert {(path, method) for path, item in document["paths"].items() for method in item} == {
        ("/api/rsvp", "post"),
        ("/api/rsvp/{rsvp_id}", "delete"),
        ("/api/rsvp/{rsvp_id}/refund", "post"),
        ("/api/group-rsvps", "post"),
        ("/api/holds", "post"),
        ("/api/holds/{hold_id}", "delete"),
        ("/api/holds/{hold_id}/confirm", "post"),
        ("/api/holds/expire", "post"),
        ("/api/waitlist", "post"),
        ("/api/events/{event_id}/waitlist/{user_id}", "delete"),
        ("/api/tickets/{ticket_id}/capacity", "put"),
        ("/api/tickets/{ticket_id}/sales", "get"),
        ("/api/events/{event_id}/availability", "get"),
        ("/api/payment-proofs", "post"),
        ("/api/payment-proofs/{proof_id}", "get"),
        ("/healthz", "get"),
    }


async def test_every_error_has_the_one_shape(document: dict[str, Any]) -> None:
    """Whatever is no success is an ErrorAnswer, and its description names the codes."""
    for item in document["paths"].values():
        for operation in item.values():
            errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
            assert errors.keys() >= {"500", "503"}
            for response in errors.values():
                (content,) = response["content"].values()
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
                assert re.match(r"`[a-z_]+`: [A-Z]", response["description"])


async def test_the_codes_it_names_are_the_codes_that_come(sale: Sale, document: dict[str, Any]) -> None:
    """The description of a status names the code that a real answer of that status carries."""
    documented = document["paths"]["/api/rsvp"]["post"]["responses"]
    key = some_key()
    answers = [
        await sale.rsvp(email="none"),
        await sale.rsvp(ticketId="none"),
        await sale.rsvp("ann", key=key),
        await sale.rsvp("ann"),
        await sale.rsvp("bob", key=key),
        await sale.rsvp(name="x" * 70_000),
        await sale.service.client.post("/api/rsvp", data={"a": "b"}),
    ]
    assert {answer.status_code for answer in answers} == {201, 400, 404, 409, 413, 415, 422}
    for answer in answers:
        if answer.status_code != 201:
            assert f"`{answer.json()['error']}`" in documented[str(answer.status_code)]["description"]


async def test_what_it_calls_a_valid_request_is_accepted(sale: Sale, document: dict[str, Any]) -> None:
    """The schema of the request takes what the service takes, and refuses what it refuses."""
    schema = document["paths"]["/api/rsvp"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = Contract(document).validator(schema)
    for change in ({}, {"email": "none"}, {"eventId": 0}, {"name": " "}, {"paymentProofUrl": "ftp://x"}):
        response = await sale.rsvp("ann", **change)
        assert validator.is_valid(sale.request("ann", **change)) == (response.status_code == 201)


async def test_the_judge_of_answers_can_condemn(service: Service, document: dict[str, Any]) -> None:
    """An answer with an unknown status, or with a field missing, does not get past the tests' client."""
    contract = Contract(document)
    request = httpx.Request("GET", f"{service.url}/healthz")
    with pytest.raises(AssertionError, match="not documented"):
        await contract.check(httpx.Response(418, request=request))
    with pytest.raises(ValidationError, match="success"):
        await contract.check(httpx.Response(200, json={}, request=request))


async def test_its_schemas_are_schemas(document: dict[str, Any]) -> None:
    """Each component is valid JSON Schema of the dialect that OpenAPI 3.1 names."""
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_a_proof_is_documented_as_what_it_is(service: Service, document: dict[str, Any]) -> None:
    """A stored file comes in one of several types, and the document does not claim otherwise."""
    uploaded = await service.client.post("/api/payment-proofs", files={"file": ("p", PNG, "image/png")})
    served = await service.client.get(uploaded.json()["paymentProofUrl"])
    assert served.headers["content-type"] == "image/png"
    documented = document["paths"]["/api/payment-proofs/{proof_id}"]["get"]["responses"]["200"]
    assert list(documented["content"]) == ["*/*"]
