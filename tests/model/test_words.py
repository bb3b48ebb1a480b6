"""The words hold what they promise: operations as data, scenarios that refuse nonsense, calls in time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    Entry,
    Evidence,
    Feature,
    Operation,
    Outcome,
    Phase,
    Program,
    Proof,
    ReadAvailability,
    Reserve,
    Scenario,
    Stock,
    TicketType,
)
from harness.model.operations import features_of, operation_from_dict, operation_to_dict
from tests.strategies import PEOPLE, operations

GENERAL = TicketType(name="general", initial=10)
BUY = Reserve(ticket="general", person="ada")


@given(operation=operations((GENERAL,), PEOPLE))
def test_an_operation_survives_the_way_through_json(operation: Operation) -> None:
    """Programs are printed, replayed and sent to other machines."""
    data = json.loads(json.dumps(operation_to_dict(operation)))
    assert operation_from_dict(data) == operation


def test_operations_are_written_down_without_their_defaults() -> None:
    """What a person reads in a replay file is what matters."""
    assert operation_to_dict(BUY) == {"kind": "reserve", "ticket": "general", "person": "ada"}
    assert operation_to_dict(Reserve(ticket="general", person="ada", proof=Proof.CUT))["proof"] == "cut"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"ticket": "general"}, r"unknown operation kind None; valid: reserve, cancel, availability"),
        ({"kind": "steal"}, r"unknown operation kind 'steal'"),
        ({"kind": "cancel", "ticket": "general", "person": "ada", "quantity": 2}, "not a cancel operation"),
        ({"kind": "reserve", "ticket": "general"}, "not a reserve operation"),
        ({"kind": "reserve", "ticket": "general", "person": "ada", "proof": "forged"}, "forged"),
    ],
)
def test_what_is_no_operation_is_refused(data: dict[str, str | int | bool | None], message: str) -> None:
    """A damaged replay file says what is wrong with it."""
    with pytest.raises(ValueError, match=message):
        operation_from_dict(data)


@pytest.mark.parametrize(
    ("operation", "needed"),
    [
        (BUY, {Feature.RESERVE}),
        (Reserve(ticket="general", person="ada", quantity=2), {Feature.RESERVE, Feature.QUANTITY}),
        (Reserve(ticket="general", person="ada", proof=Proof.GOOD), {Feature.RESERVE, Feature.PROOF}),
        (Reserve(ticket="general", person="ada", disconnects=True), {Feature.RESERVE, Feature.DISCONNECT}),
        (Cancel(ticket="general", person="ada"), {Feature.CANCEL}),
        (ReadAvailability(ticket="general", person="ada"), {Feature.AVAILABILITY}),
    ],
)
def test_an_operation_says_what_a_target_must_be_able_to_do(
    operation: Operation, needed: set[Feature]
) -> None:
    """A scenario's needs are read off its operations, never declared."""
    assert features_of(operation) == needed


@pytest.mark.parametrize(("name", "initial"), [("", 1), ("general", -1)])
def test_stock_that_cannot_be_is_refused(name: str, initial: int) -> None:
    """A ticket type has a name and cannot start below zero."""
    with pytest.raises(ValueError, match="a name and a quantity of at least 0"):
        TicketType(name=name, initial=initial)


def phase(*programs: Program, title: str = "all") -> Phase:
    return Phase(title, programs)


@pytest.mark.parametrize(
    ("tickets", "phases", "message"),
    [
        ((GENERAL, GENERAL), (phase(Program("a", (BUY,))),), r"two of one name \(ticket type\): general"),
        (
            (GENERAL,),
            (phase(Program("a", (BUY,)), Program("a", (BUY,))),),
            r"two of one name \(client of phase 'all'\): a",
        ),
        ((GENERAL,), (), "at least one operation"),
        ((GENERAL,), (phase(Program("a", ())),), "at least one operation"),
        (
            (TicketType(name="balcony", initial=1),),
            (phase(Program("a", (BUY,))),),
            "not in stock; stock: balcony",
        ),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(
    tickets: tuple[TicketType, ...], phases: tuple[Phase, ...], message: str
) -> None:
    """Before anything is driven, and with the name of what is wrong."""
    with pytest.raises(ValueError, match=message):
        Scenario(tickets=tickets, phases=phases)


def test_a_scenario_knows_its_needs_and_its_crowd() -> None:
    """Everything an engine asks about it follows from its stock and programs."""
    late = TicketType(name="late", initial=1, closed=True)
    cancel = Cancel(ticket="general", person="ada")
    scenario = Scenario(
        tickets=(GENERAL, late),
        phases=(phase(Program("a", (BUY,)), Program("b", ())), phase(Program("a", (cancel,)), title="later")),
    )
    assert scenario.needs == {Feature.RESERVE, Feature.CANCEL, Feature.DEADLINE}
    assert Scenario(tickets=(GENERAL,), phases=(phase(Program("a", (BUY,))),)).needs == {Feature.RESERVE}
    assert scenario.crowd == 2
    assert list(scenario.operations()) == [BUY, cancel]
    assert scenario.ticket("late") is late
    with pytest.raises(KeyError):
        scenario.ticket("balcony")


def call(
    invoked: int, completed: int | None, outcome: Outcome = Outcome.ACCEPTED, operation: Operation = BUY
) -> Call:
    return Call(
        index=0,
        client="a",
        phase=0,
        operation=operation,
        answer=Answer(outcome),
        invoked=invoked,
        completed=completed,
    )


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (call(0, 5), call(3, 8), True),
        (call(0, 9), call(3, 4), True),
        (call(0, 5), call(5, 8), False),
        (call(0, 5), call(6, 8), False),
        (call(0, None), call(6, 8), True),
        (call(7, None), call(3, 4), False),
        (call(0, None), call(9, None), True),
    ],
)
def test_calls_overlap_unless_one_had_ended(one: Call, other: Call, overlap: bool) -> None:
    """One that was never answered overlaps everything that comes after it."""
    assert one.overlaps(other) is overlap
    assert other.overlaps(one) is overlap


def test_what_was_sold_is_counted_in_the_rows_where_they_can_be_read() -> None:
    """The target's own count is taken only when there is nothing better."""
    stock = Stock(ticket="general", initial=10, sold=7)
    rows = (Entry(ticket="general", person="ada", quantity=2), Entry(ticket="balcony", person="ben"))
    assert Books(stock=(stock,), entries=rows).sold(stock) == 2
    assert Books(stock=(stock,)).sold(stock) == 7
    assert Books(stock=(stock,)).of("general") == ()


def test_evidence_yields_its_states_and_its_reserves() -> None:
    """The states in the order they were seen, the final one last; the reserves by outcome."""
    first, last = Books(stock=()), Books(stock=(), entries=())
    calls = (
        call(0, 1),
        call(2, 3, Outcome.SOLD_OUT),
        call(4, 5, operation=Cancel(ticket="general", person="a")),
    )
    evidence = Evidence(
        scenario=Scenario(tickets=(GENERAL,), phases=(phase(Program("a", (BUY,))),)),
        history=calls,
        books=last,
        states=(first,),
    )
    assert list(evidence.every_state()) == [first, last]
    assert [found for found, _ in evidence.reserves()] == list(calls[:2])
    assert [found for found, _ in evidence.reserves(Outcome.SOLD_OUT)] == [calls[1]]
