"""What responses mean to a buyer, the sensible ones and the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.contract.answers import read_answer
from harness.model import Answer, Outcome


def answer(status: int, body: Any = None) -> Answer:
    """Return what a response to a purchase means; its body is JSON unless it is bytes."""
    return read_answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), (201,))


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, {"success": True, "rsvp": {"id": "r-1"}, "remainingTickets": 3}, Outcome.ACCEPTED),
        (409, {"error": "sold_out"}, Outcome.SOLD_OUT),
        (409, {"error": "duplicate_rsvp"}, Outcome.DUPLICATE),
        (409, {"error": "hold_expired"}, Outcome.INVALID),
        (403, {"error": "not_owner"}, Outcome.INVALID),
        (400, {"error": "invalid"}, Outcome.INVALID),
        (404, {}, Outcome.INVALID),
        (410, {"error": "sale_closed"}, Outcome.INVALID),
        (413, b"too large", Outcome.INVALID),
        (429, {}, Outcome.RETRYABLE),
        (503, {}, Outcome.RETRYABLE),
        (500, {}, Outcome.UNKNOWN),
        (502, b"<html>Bad Gateway</html>", Outcome.UNKNOWN),
        (302, b"", Outcome.UNKNOWN),
        (200, {"rsvp": {"id": "r-1"}}, Outcome.UNKNOWN),
        (201, b"", Outcome.UNKNOWN),
        (201, b"created!", Outcome.UNKNOWN),
        (201, [1, 2], Outcome.UNKNOWN),
        (201, b"\xff\xfe", Outcome.UNKNOWN),
        (201, b"[" * 100_000, Outcome.UNKNOWN),
        (409, {}, Outcome.UNKNOWN),
        (409, {"error": None}, Outcome.UNKNOWN),
        (409, {"error": ["sold_out"]}, Outcome.UNKNOWN),
        (409, b"conflict", Outcome.UNKNOWN),
    ],
)
def test_status_and_body_decide_together(status: int, body: Any, outcome: Outcome) -> None:
    """What the contract does not know is an unknown outcome, never a guess, and never a crash."""
    told = answer(status, body)
    assert told.outcome is outcome
    assert outcome is not Outcome.UNKNOWN or told.detail


def test_an_acceptance_names_the_reservation_and_what_remains() -> None:
    """Both as the service says them."""
    body = {"success": True, "rsvp": {"id": "r-1"}, "remainingTickets": 3}
    assert answer(201, body) == Answer(Outcome.ACCEPTED, reservation="r-1", remaining=3)


def test_an_acceptance_names_the_hold_or_the_whole_group() -> None:
    """In the order in which the service says them."""
    assert answer(201, {"hold": {"id": "h-1"}}).reservation == "h-1"
    group = {"rsvps": [{"id": "r-2"}, {"id": "r-1"}], "remainingTickets": True}
    assert answer(201, group) == Answer(Outcome.ACCEPTED, group=("r-2", "r-1"))


@pytest.mark.parametrize(
    "body",
    [
        {"rsvps": 3},
        {"rsvps": ["r-1"]},
        {"hold": []},
        {"rsvp": "r-1"},
        {"rsvp": {}},
        {"rsvp": {"id": None}},
        {"remainingTickets": "3"},
        {"rsvp": None},
    ],
)
def test_an_acceptance_without_a_name_is_one_all_the_same(body: Any) -> None:
    """A 201 with a JSON object says that it happened; what it leaves out stays unknown."""
    assert answer(201, body) == Answer(Outcome.ACCEPTED)


def test_a_deletion_needs_no_body() -> None:
    """204 has none."""
    assert read_answer(204, b"", (200, 204)).outcome is Outcome.ACCEPTED


def test_the_services_words_are_kept_short() -> None:
    """They stand in reports."""
    told = answer(400, {"message": "x" * 999})
    assert told.detail == "x" * 200
