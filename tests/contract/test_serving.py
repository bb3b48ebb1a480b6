"""What is asked through the contract arrives as it was meant, and what is answered comes back so.

Both directions are held against each other: the requests that our clients make, and the responses they read.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.answers import answer_of
from harness.contract.requests import SPOKEN, request_for
from harness.contract.serving import Asked, Refusal, operation_of, response_of
from harness.model import (
    Answer,
    Cancel,
    ChangeCapacity,
    Confirm,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    ReadAvailability,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
)
from harness.model.operations import FEATURE_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.contract.requests import Ids
    from harness.model import Operation

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: text.strip() != ""
)
IDS = st.tuples(st.integers(1, 2**53 - 1).map(str), NAMES)
OF_A_RESERVATION = st.fixed_dictionaries({"reservation": NAMES})
OF_A_HOLD = st.fixed_dictionaries({"hold": NAMES})
NOTHING_MORE: st.SearchStrategy[dict[str, Any]] = st.just({})
FIELDS: Mapping[type[Operation], st.SearchStrategy[dict[str, Any]]] = {
    Reserve: NOTHING_MORE,
    Cancel: OF_A_RESERVATION,
    ReadAvailability: NOTHING_MORE,
    Hold: NOTHING_MORE,
    Confirm: OF_A_HOLD,
    Release: OF_A_HOLD,
    ReserveGroup: st.fixed_dictionaries({"members": st.lists(NAMES, min_size=1, max_size=20).map(tuple)}),
    JoinWaitlist: NOTHING_MORE,
    LeaveWaitlist: NOTHING_MORE,
    ChangeCapacity: st.fixed_dictionaries({"capacity": st.integers(-5, 10**6)}),
    Refund: OF_A_RESERVATION,
    ReadSales: NOTHING_MORE,
}
"""What each kind says beside who asks, and for what."""


@st.composite
def operations(draw: st.DrawFn) -> tuple[Operation, Ids]:
    """Return an operation that names its ticket type as the service does, and the ids."""
    ids = draw(IDS)
    kind: Any = draw(st.sampled_from(list(FIELDS)))
    return kind(ticket=ids[1], person=draw(NAMES), **draw(FIELDS[kind])), ids


NUMBERS = st.none() | st.integers(-3, 10**6)
REFUSED = st.builds(
    Answer, st.sampled_from([each for each in Outcome if each is not Outcome.ACCEPTED]), detail=NAMES
)
ACCEPTED = st.builds(
    Answer,
    st.just(Outcome.ACCEPTED),
    reservation=st.none() | NAMES,
    remaining=NUMBERS,
    sold=NUMBERS,
    group=st.lists(NAMES, max_size=3).map(tuple),
)


def served(operation: Operation, ids: Ids) -> Asked:
    """Return what arrives at the other side."""
    request = request_for(operation, ids)
    assert request is not None
    path, _, query = request.path.partition("?")
    body = b"" if request.body is None else json.dumps(request.body).encode()
    asked = operation_of(request.method, path, query, body)
    assert isinstance(asked, Asked)
    return asked


def read_back(operation: Operation, ids: Ids, answer: Answer) -> Answer:
    """Return what the buyer reads of an answer that the other side tells."""
    request = request_for(operation, ids)
    assert request is not None
    asked = served(operation, ids)
    status, body = response_of(replace(asked, ticket=ids[1]), answer)
    return answer_of(operation, ids, request, status, json.dumps(body).encode())


def test_every_operation_of_the_contract_is_drawn() -> None:
    """A kind that is added must be served too."""
    assert set(FIELDS) == {kind for kind, feature in FEATURE_OF.items() if feature in SPOKEN}


@given(operations())
def test_an_operation_arrives_as_it_was_asked_for(asked_for: tuple[Operation, Ids]) -> None:
    """Field for field, but for those that the request leaves out; these are empty, never made up."""
    operation, ids = asked_for
    asked = served(operation, ids)
    assert type(asked.operation) is type(operation)
    for field in fields(operation):
        sent, arrived = getattr(operation, field.name), getattr(asked.operation, field.name)
        assert arrived in (sent, "") or (isinstance(operation, ReserveGroup) and arrived in operation.members)
    assert asked.event in (ids[0], "")
    assert asked.ticket in (ids[1], "")
    assert request_for(complete(asked.operation, operation), ids) == request_for(operation, ids)


def complete(arrived: Any, sent: Operation) -> Operation:
    """Return what arrived with what the request left out filled in, as whoever serves does."""
    known = {name: getattr(sent, name) for name in ("ticket", "person") if not getattr(arrived, name)}
    return replace(arrived, **known)  # type: ignore[no-any-return]  # an operation of the same kind


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        (Reserve, set()),
        (Cancel, {"ticket"}),
        (ReadAvailability, {"ticket", "person"}),
        (Hold, set()),
        (Confirm, {"ticket", "person"}),
        (Release, {"ticket", "person"}),
        (ReserveGroup, set()),
        (JoinWaitlist, set()),
        (LeaveWaitlist, set()),
        (ChangeCapacity, {"person"}),
        (Refund, {"ticket", "person"}),
        (ReadSales, {"person"}),
    ],
)
def test_a_request_leaves_out_no_more_than_the_contract_does(kind: Any, left_out: set[str]) -> None:
    """Who serves must know the rest by itself."""
    more: dict[str, Any] = {"members": ("ada",)} if kind is ReserveGroup else {}
    more |= {"reservation": "r-1"} if kind in (Cancel, Refund) else {}
    more |= {"hold": "h-1"} if kind in (Confirm, Release) else {}
    more |= {"capacity": 3} if kind is ChangeCapacity else {}
    asked = served(kind(ticket="t-1", person="ada", **more), ("7", "t-1"))
    assert {name for name in ("ticket", "person") if not getattr(asked.operation, name)} == left_out


@given(operations(), REFUSED)
def test_a_refusal_is_read_as_it_was_meant(asked_for: tuple[Operation, Ids], answer: Answer) -> None:
    """The outcome, and the target's own words."""
    assert read_back(*asked_for, answer) == answer


@given(operations(), ACCEPTED)
def test_an_acceptance_is_read_as_it_was_meant(asked_for: tuple[Operation, Ids], answer: Answer) -> None:
    """With the names and the numbers that belong to what was asked for, and nothing else."""
    operation, ids = asked_for
    match operation:
        case ReadAvailability():
            expected = Answer(Outcome.ACCEPTED, remaining=answer.remaining)
        case ReadSales():
            expected = Answer(Outcome.ACCEPTED, sold=answer.sold)
        case JoinWaitlist():
            expected = replace(answer, sold=None, reservation=None)
        case _:
            expected = replace(answer, sold=None)
    assert read_back(operation, ids, answer) == expected


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.ACCEPTED])
def test_a_refusal_without_words_is_given_some(outcome: Outcome) -> None:
    """People read them."""
    operation = Reserve(ticket="t-1", person="ada")
    told = read_back(operation, ("7", "t-1"), Answer(outcome))
    assert told.outcome is outcome
    assert told.detail


WANTED = {"eventId": 7, "ticketId": "t-1", "userId": "ada", "name": "Ada", "email": "ada@example.org"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/", None, 404, "not_found"),
        ("GET", "", None, 404, "not_found"),
        ("GET", "/api", None, 404, "not_found"),
        ("POST", "/api/rsvp/", WANTED, 405, "method_not_allowed"),
        ("POST", "/api/holds/expire", None, 405, "method_not_allowed"),
        ("POST", "/api/payment-proofs", None, 404, "not_found"),
        ("GET", "/api/rsvp", None, 405, "method_not_allowed"),
        ("POST", "/api/rsvp", None, 400, "invalid"),
        ("POST", "/api/rsvp", [WANTED], 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"eventId": "7"}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"eventId": True}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"eventId": 2**53}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"userId": "  "}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"userId": "a" * 201}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"userId": "a\0b"}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"email": "nowhere"}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"name": None}, 400, "invalid"),
        ("POST", "/api/rsvp", WANTED | {"paymentProofUrl": "/p/1"}, 400, "unknown_payment_proof"),
        ("POST", "/api/group-rsvps", WANTED | {"members": []}, 400, "invalid"),
        ("POST", "/api/group-rsvps", WANTED | {"members": "ada"}, 400, "invalid"),
        ("POST", "/api/group-rsvps", WANTED | {"members": ["ada"]}, 400, "invalid"),
        ("POST", "/api/holds/h-1/confirm", {"name": "Ada"}, 400, "invalid"),
        ("PUT", "/api/tickets/t-1/capacity", {"capacity": "3"}, 400, "invalid"),
        ("GET", "/api/events/party/availability", None, 400, "invalid"),
        ("DELETE", "/api/rsvp/%20", None, 400, "invalid"),
    ],
)
def test_what_the_contract_does_not_know_is_refused(
    method: str, path: str, body: Any, status: int, error: str
) -> None:
    """With the contract's own codes, and in one sentence."""
    refusal = operation_of(method, path, "", b"" if body is None else json.dumps(body).encode())
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.error) == (status, error)
    told, data = refusal.response
    assert told == status
    assert data == {"success": False, "error": error, "message": refusal.message}
    assert refusal.message.endswith(".")


@given(st.text(), st.text(), st.binary(), st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]))
def test_garbage_is_refused_and_never_crashes(path: str, query: str, body: bytes, method: str) -> None:
    """Whatever comes, there is an answer."""
    assert isinstance(operation_of(method, f"/api/{path}", query, body), Asked | Refusal)


def test_an_address_elsewhere_proves_a_payment() -> None:
    """As the contract has it: it is kept as given, and never fetched."""
    body = json.dumps(WANTED | {"paymentProofUrl": "https://example.org/p/1"}).encode()
    assert operation_of("POST", "/api/rsvp", "", body) == Asked(
        Reserve(ticket="t-1", person="ada"), "7", "t-1"
    )
