"""What the contract has no single request for is refused rather than asked for in part.

The requests themselves are held against the documentation in ``tests/targets/test_http_answers.py``, by what
a server is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.contract.requests import SPOKEN, request_for
from harness.model import Cancel, Expire, Feature, Hold, Proof, ReadNotice, Reserve
from harness.model.operations import features_of

if TYPE_CHECKING:
    from harness.model import Operation

IDS = ("7", "t-1")


@pytest.mark.parametrize(
    "operation",
    [
        Expire(ticket="general", person="ada"),
        ReadNotice(ticket="general", person="ada"),
        Reserve(ticket="general", person="ada", quantity=2),
        Hold(ticket="general", person="ada", quantity=0),
        Reserve(ticket="general", person="ada", proof=Proof.GOOD),
        Reserve(ticket="general", person="ada", proof=Proof.CUT),
    ],
)
def test_what_is_no_single_request_is_refused(operation: Operation) -> None:
    """Two tickets asked for are not one, and a purchase without its proof is another purchase."""
    assert not features_of(operation) <= SPOKEN
    with pytest.raises(ValueError, match="no single request"):
        request_for(operation, IDS)


def test_a_purchase_names_the_proof_that_was_uploaded() -> None:
    """Beside the fields of any other purchase."""
    bought = request_for(Reserve(ticket="general", person="ada", proof=Proof.GOOD), IDS, proof_url="/p/1")
    plain = request_for(Reserve(ticket="general", person="ada"), IDS)
    assert bought is not None
    assert plain is not None
    assert bought.body == {**(plain.body or {}), "paymentProofUrl": "/p/1"}


def test_an_event_is_a_whole_number() -> None:
    """As the contract has it; a service with other ids does not speak it."""
    with pytest.raises(ValueError, match="invalid literal"):
        request_for(Reserve(ticket="general", person="ada"), ("party", "t-1"))


def test_what_can_be_asked_for_can_be_asked_for_by_whoever_it_is_not_of() -> None:
    """Who cancels is always named."""
    request = request_for(Cancel(ticket="general", person="bob", whose="ada", reservation="r-1"), IDS)
    assert request is not None
    assert request.path.endswith("?userId=bob")
    assert Feature.OWNERSHIP in SPOKEN
