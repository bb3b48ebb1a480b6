"""Group RSVPs: all or nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.service.running import some_key, tally

if TYPE_CHECKING:
    from tests.service.running import Sale, Service


async def test_a_group_gets_one_ticket_each(sale: Sale) -> None:
    """201 with an RSVP for each, in the order in which they were named."""
    response = await sale.group("cem", "ann", "bob")
    assert response.status_code == 201
    assert [rsvp["userId"] for rsvp in response.json()["rsvps"]] == ["cem", "ann", "bob"]
    assert response.json()["remainingTickets"] == 7
    assert await sale.sold() == 3


async def test_a_group_that_does_not_fit_gets_nothing(service: Service) -> None:
    """Two left are none for three."""
    sale = await service.sale(2)
    assert tally([await sale.group("ann", "bob", "cem")]) == {(409, "sold_out"): 1}
    assert await sale.sold() == 0
    assert (await sale.group("ann", "bob")).status_code == 201


async def test_one_who_has_an_rsvp_stops_the_group(sale: Sale) -> None:
    """Nobody of it gets anything."""
    await sale.rsvp("bob")
    assert tally([await sale.group("ann", "bob")]) == {(409, "duplicate_rsvp"): 1}
    assert await sale.people() == ["bob"]


async def test_groups_that_share_people_in_any_order(sale: Sale) -> None:
    """Of groups that name the same people at once, one gets all of them, and none waits for ever."""
    orders = [("ann", "bob"), ("bob", "ann")] * 4
    responses = await asyncio.gather(*(sale.group(*order) for order in orders))
    assert tally(list(responses)) == {(201, None): 1, (409, "duplicate_rsvp"): 7}
    assert await sale.people() == ["ann", "bob"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "members must be a list of 1 to 20 people"),
        ("ann", "members must be a list of 1 to 20 people"),
        (["ann"], "members[0] must be an object"),
        ([{"userId": "ann", "name": "Ann", "email": "none"}], "members[0].email must be an address"),
        ([{"userId": "ann", "email": "a@b"}, {}], "members[0].name is missing; members[1].userId is missing"),
        (
            [{"userId": f"u{n}", "name": "U", "email": "u@b"} for n in range(21)],
            "members must be a list of 1",
        ),
    ],
)
async def test_what_is_wrong_with_a_group_is_said(sale: Sale, members: Any, said: str) -> None:
    """400 names the member and the field."""
    response = await sale.group(members=members)
    assert (response.status_code, response.json()["error"]) == (400, "invalid")
    assert response.json()["message"].startswith(said)


async def test_nobody_is_named_twice(sale: Sale) -> None:
    """One person has one place."""
    assert (await sale.group("ann", "ann")).status_code == 400
    assert await sale.sold() == 0


async def test_the_same_key_books_once(sale: Sale) -> None:
    """The whole answer is kept."""
    key = some_key()
    responses = await asyncio.gather(*(sale.group("ann", "bob", key=key) for _ in range(4)))
    assert {response.content for response in responses} == {responses[0].content}
    assert await sale.sold() == 2
