"""What the target called things stands in the operations that come back to them."""

from __future__ import annotations

from harness.model import Answer, Cancel, Confirm, Hold, Outcome, Refund, Release, Reserve, ReserveGroup
from harness.model.naming import Named


def test_names_are_filled_in_where_an_answer_gave_one() -> None:
    """For the person it was given to, and left out where there was none."""
    named = Named()
    named.remember(Reserve(ticket="t", person="ann"), Answer(Outcome.ACCEPTED, reservation="r1"))
    named.remember(Hold(ticket="t", person="bob"), Answer(Outcome.ACCEPTED, reservation="h1"))
    pair = ReserveGroup(ticket="t", person="cy", members=("cy", "di"))
    named.remember(pair, Answer(Outcome.ACCEPTED, group=("g1", "g2")))
    assert named.filled_in(Cancel(ticket="t", person="ann")) == Cancel(
        ticket="t", person="ann", reservation="r1"
    )
    assert named.filled_in(Refund(ticket="t", person="di")) == Refund(
        ticket="t", person="di", reservation="g2"
    )
    assert named.filled_in(Cancel(ticket="t", person="eve", whose="ann")) == Cancel(
        ticket="t", person="eve", whose="ann", reservation="r1"
    )
    assert named.filled_in(Release(ticket="t", person="bob")) == Release(ticket="t", person="bob", hold="h1")
    assert named.filled_in(Confirm(ticket="t", person="ann")) == Confirm(ticket="t", person="ann")
