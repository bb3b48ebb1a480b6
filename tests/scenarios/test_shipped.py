"""The scenarios that come with the harness, against the sequential specification."""

from __future__ import annotations

import ast
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from harness.content import content
from harness.driving.program import Recorder
from harness.driving.scenarios import load_scenarios
from harness.laws import LAWS
from harness.model import Call, Cancel, Confirm, Expire, Hold, Outcome, Refund, Release, Reserve, ReserveGroup
from harness.model.sequential import opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.model import Answer, Operation, Phase, Scenario

SHIPPED = load_scenarios([content("scenarios")])
EVERY = pytest.mark.parametrize("name", SHIPPED)


def one_after_another(scenario: Scenario, luck: random.Random | None = None) -> tuple[Counter[Outcome], int]:
    """Serve one operation after another; return what was seen, and how many units are held too many.

    :param luck: draws whose operation comes next within a phase; without it, client follows client.
    """
    state, seen, recorder = opening(scenario.tickets), Counter[Outcome](), Recorder()
    for number, phase in enumerate(scenario.phases):
        for client, each in _order(phase, luck):
            operation = recorder.resolve(each)
            state, answer = state.apply(operation)
            recorder.record(_call(client, number, operation, answer))
            seen[_as_seen(operation, answer)] += 1
    return seen, sum(max(0, -state.remaining(ticket.name)) for ticket in scenario.tickets)


def _order(phase: Phase, luck: random.Random | None) -> Iterator[tuple[str, Operation]]:
    turns = [program.client for program in phase.programs for _ in program.operations]
    if luck is not None:
        luck.shuffle(turns)
    left = {program.client: iter(program.operations) for program in phase.programs}
    for client in turns:
        yield client, next(left[client])


def _call(client: str, phase: int, operation: Operation, answer: Answer) -> Call:
    return Call(
        index=0, client=client, phase=phase, operation=operation, answer=answer, invoked=0, completed=1
    )


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
@pytest.mark.parametrize("buyers", [None, 2, 3])
def test_no_luck_is_needed_to_reach_what_it_is_about(name: str, buyers: int | None) -> None:
    """Whoever comes first, its outcomes come: bad luck must never make a verdict inconclusive."""
    scenario = SHIPPED[name].build(buyers)
    for seed in range(60):
        seen, oversold = one_after_another(scenario, random.Random(seed))  # noqa: S311  # repeatable
        assert scenario.reaches <= set(seen)
        assert oversold == 0


@EVERY
def test_whatever_is_given_back_was_bought_before(name: str) -> None:
    """A cancel or refund belongs to a purchase of an earlier phase, else there is no reservation to name."""
    bought: set[tuple[str, str]] = set()
    for phase in SHIPPED[name].build().phases:
        assert set(_given_back(phase)) <= bought
        bought |= set(_bought(phase))


@EVERY
def test_whatever_becomes_of_a_hold_was_held_before(name: str) -> None:
    """Confirm, release and expiry belong to a hold of an earlier phase."""
    held: set[tuple[str, str]] = set()
    for phase in SHIPPED[name].build().phases:
        ends = {
            (each.ticket, each.person)
            for each in _operations(phase)
            if isinstance(each, Confirm | Release | Expire)
        }
        assert ends <= held
        held |= {(each.ticket, each.person) for each in _operations(phase) if isinstance(each, Hold)}


def _operations(phase: Phase) -> Iterator[Operation]:
    for program in phase.programs:
        yield from program.operations


def _bought(phase: Phase) -> Iterator[tuple[str, str]]:
    for each in _operations(phase):
        if isinstance(each, Reserve | Confirm):
            yield each.ticket, each.person
        elif isinstance(each, ReserveGroup):
            yield from ((each.ticket, member) for member in each.members)


def _given_back(phase: Phase) -> Iterator[tuple[str, str]]:
    for each in _operations(phase):
        if isinstance(each, Cancel):
            yield each.ticket, each.whose or each.person
        elif isinstance(each, Refund):
            yield each.ticket, each.person


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
