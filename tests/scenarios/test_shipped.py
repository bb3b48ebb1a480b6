"""The scenarios that come with the harness, against the sequential specification."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.content import content
from harness.driving.scenarios import load_scenarios
from harness.laws import LAWS
from harness.model import Answer, Cancel, Outcome, Reserve
from harness.model.sequential import opening

if TYPE_CHECKING:
    from harness.model import Operation, Scenario

SHIPPED = load_scenarios([content("scenarios")])
EVERY = pytest.mark.parametrize("name", SHIPPED)


def one_after_another(scenario: Scenario) -> tuple[Counter[Outcome], int]:
    """Serve everybody in order; return what they saw, and how many units are held too many."""
    state, seen = opening(scenario.tickets), Counter[Outcome]()
    names: dict[tuple[str, str], str] = {}
    for operation in scenario.operations():
        state, answer = state.apply(_filled_in(operation, names))
        if isinstance(operation, Reserve) and answer.reservation:
            names[operation.ticket, operation.person] = answer.reservation
        seen[_as_seen(operation, answer)] += 1
    return seen, sum(max(0, -state.remaining(ticket.name)) for ticket in scenario.tickets)


def _filled_in(operation: Operation, names: dict[tuple[str, str], str]) -> Operation:
    if isinstance(operation, Cancel):
        return replace(operation, reservation=names.get((operation.ticket, operation.person)))
    return operation


def _as_seen(operation: Operation, answer: Answer) -> Outcome:
    return Outcome.UNKNOWN if isinstance(operation, Reserve) and operation.disconnects else answer.outcome


def test_there_are_the_scenarios_of_the_story() -> None:
    """The rush of the story's test script, and the cases that it asks to be tried."""
    assert {
        "rush",
        "last_ticket",
        "same_person_twice",
        "cancel_and_resell",
        "cancel_races_reserve",
        "several_ticket_types",
        "client_disconnects",
        "payment_proof_fails",
    } <= set(SHIPPED)
    assert (SHIPPED["rush"].buyers, SHIPPED["rush"].build().ticket("general").initial) == (20, 10)


@EVERY
def test_it_is_documented(name: str) -> None:
    """One sentence first, then why it matters."""
    assert SHIPPED[name].title.endswith((".", ","))
    assert len(SHIPPED[name].doc.split()) > 25


@EVERY
@pytest.mark.parametrize("buyers", [*range(2, 13), 20, 39, 40])
def test_it_builds_for_a_crowd_of_any_size(name: str, buyers: int) -> None:
    """A burst takes many buyers, an exhaustive search two; there is always something on sale to do."""
    scenario = SHIPPED[name].build(buyers)
    # Two buyers of cancel_and_resell are a seller and a taker, who come one after the other.
    assert min(2, buyers - 1) <= scenario.crowd <= 2 * buyers
    assert any(ticket.initial > 0 and not ticket.closed for ticket in scenario.tickets)
    assert set(scenario.laws or ()) <= set(LAWS.entries)


@EVERY
def test_it_is_deterministic(name: str) -> None:
    """The same crowd, the same scenario: nothing is drawn by luck."""
    assert SHIPPED[name].build(9) == SHIPPED[name].build(9)
    again = load_scenarios([content("scenarios")])[name]
    assert again.build() == SHIPPED[name].build()


@EVERY
@pytest.mark.parametrize("buyers", [None, 4])
def test_it_reaches_what_it_is_about_even_without_a_race(name: str, buyers: int | None) -> None:
    """Its outcomes come when a correct system serves one buyer after another, and something succeeds."""
    scenario = SHIPPED[name].build(buyers)
    seen, oversold = one_after_another(scenario)
    assert scenario.reaches <= set(seen)
    assert seen[Outcome.ACCEPTED] > 0
    assert oversold == 0


@EVERY
def test_every_cancel_gives_back_something_that_was_bought_before(name: str) -> None:
    """A cancel belongs to a reserve of an earlier phase, else there is no reservation to name."""
    bought: set[tuple[str, str]] = set()
    for phase in SHIPPED[name].build().phases:
        operations = [operation for program in phase.programs for operation in program.operations]
        cancels = {(each.ticket, each.person) for each in operations if isinstance(each, Cancel)}
        assert cancels <= bought
        bought |= {(each.ticket, each.person) for each in operations if isinstance(each, Reserve)}


@EVERY
def test_its_clients_are_people_or_their_tabs(name: str) -> None:
    """Within one phase a client name is used once, so that a report can say who did what."""
    for phase in SHIPPED[name].build().phases:
        names = [program.client for program in phase.programs]
        assert len(names) == len(set(names))


@EVERY
def test_a_file_needs_nothing_but_the_model(name: str) -> None:
    """Whoever writes one learns one module."""
    tree = ast.parse(SHIPPED[name].path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"harness.model"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
