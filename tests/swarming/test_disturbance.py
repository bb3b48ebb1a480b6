"""Refusals need not be true while errors of ours were about; everything else is held to."""

from __future__ import annotations

import pytest

from harness.model import (
    Afterwards,
    Answer,
    Books,
    Call,
    Evidence,
    Outcome,
    Phase,
    Program,
    Reserve,
    Scenario,
    TicketType,
)
from harness.swarming.disturbance import Disturbance, merged

RESERVE = Reserve(ticket="general", person="a")
SCENARIO = Scenario(
    tickets=(TicketType(name="general", initial=1),), phases=(Phase("buy", (Program("a", (RESERVE,)),)),)
)
LIED = Disturbance(broke="broke", lies=((100, 200), (400, 400)))


def told(outcome: Outcome, invoked: int, completed: int | None) -> Outcome:
    """Return what a call counts as that was under way then."""
    call = Call(
        index=0,
        client="a",
        phase=0,
        operation=RESERVE,
        answer=Answer(outcome),
        invoked=invoked,
        completed=completed,
    )
    evidence = Evidence(scenario=SCENARIO, history=(call,), books=Books(stock=()))
    (found,) = LIED.told(0, evidence).history
    return found.outcome


@pytest.mark.parametrize(
    ("invoked", "completed", "lied"),
    [
        (10, 99, False),
        (10, 100, True),
        (150, 160, True),
        (200, 300, True),
        (201, 399, False),
        (10, 1000, True),
        (399, 401, True),
        (401, 402, False),
    ],
)
def test_who_was_under_way_may_have_been_lied_to(invoked: int, completed: int, lied: bool) -> None:
    """At any moment of the call, its ends among them."""
    for refusal in (Outcome.SOLD_OUT, Outcome.DUPLICATE, Outcome.INVALID):
        assert told(refusal, invoked, completed) is (Outcome.RETRYABLE if lied else refusal)


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.RETRYABLE])
def test_nothing_else_is_forgiven(outcome: Outcome) -> None:
    """Whoever was told that they have bought has bought; what is unknown stays so."""
    assert told(outcome, 10, 1000) is outcome
    assert told(Outcome.UNKNOWN, 10, None) is Outcome.UNKNOWN


def test_how_the_target_was_afterwards_belongs_to_the_last_sale() -> None:
    """The others were over long before."""
    seen = Afterwards()
    disturbance = Disturbance(broke="broke", afterwards=seen, last=2)
    evidence = Evidence(scenario=SCENARIO, history=(), books=Books(stock=()))
    assert [disturbance.told(number, evidence).afterwards for number in (1, 2)] == [None, seen]


def test_spans_that_overlap_are_one() -> None:
    """In whatever order they were noted."""
    assert merged([(5, 6), (1, 3), (2, 4), (4, 4), (8, 9)]) == ((1, 4), (5, 6), (8, 9))
    assert merged([]) == ()
