"""Where a history leaves something open, the target gets the benefit of the doubt, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.laws import judge
from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    Entry,
    Evidence,
    Operation,
    Outcome,
    Phase,
    Program,
    Proof,
    Reserve,
    Scenario,
    Stock,
    TicketType,
)

ACCEPTED, UNKNOWN, SOLD_OUT = Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.SOLD_OUT
ONCE, REFUSED, SOLD = "accepted_in_books_once", "refused_not_in_books", "no_refusal_while_stock_remained"


@dataclass(frozen=True)
class Said:
    """One call: what was asked, what was answered, and when."""

    operation: Operation
    outcome: Outcome
    invoked: int
    completed: int | None
    id: str | None = None


def reserve(person: str = "ada", quantity: int = 1, proof: Proof = Proof.NONE) -> Reserve:
    return Reserve(ticket="general", person=person, quantity=quantity, proof=proof)


def cancel(id: str | None = None) -> Cancel:
    return Cancel(ticket="general", person="ada", reservation=id)


def row(person: str = "ada", quantity: int = 1, id: str | None = None) -> Entry:
    return Entry(ticket="general", person=person, quantity=quantity, reservation=id)


def evidence(calls: list[Said], rows: list[Entry], initial: int = 9) -> Evidence:
    history = tuple(
        Call(
            index=index,
            client=str(index),
            phase=0,
            operation=said.operation,
            answer=Answer(said.outcome, reservation=said.id),
            invoked=said.invoked,
            completed=said.completed,
        )
        for index, said in enumerate(calls)
    )
    scenario = Scenario(
        tickets=(TicketType(name="general", initial=initial),),
        phases=(Phase("all", (Program("a", (reserve(),)),)),),
    )
    stock = (Stock(ticket="general", initial=initial),)
    return Evidence(scenario=scenario, history=history, books=Books(stock=stock, entries=tuple(rows)))


def broken(calls: list[Said], rows: list[Entry]) -> set[str]:
    """The laws about calls and rows that cry."""
    return {violation.law for violation in judge(evidence(calls, rows), [ONCE, REFUSED]).violations}


BOUGHT = Said(reserve(), ACCEPTED, 0, 10, "r1")
ANONYMOUS = Said(reserve(), ACCEPTED, 0, 10)


@pytest.mark.parametrize(
    ("calls", "may_be_there", "may_be_gone"),
    [
        pytest.param([BOUGHT], True, False, id="an accepted reserve"),
        pytest.param([Said(reserve(), UNKNOWN, 0, 10)], True, True, id="an unknown reserve"),
        pytest.param([Said(reserve(), UNKNOWN, 0, None)], True, True, id="a reserve without an answer"),
        pytest.param([Said(reserve(), SOLD_OUT, 0, 10)], False, True, id="a refused reserve"),
        pytest.param([BOUGHT, Said(cancel(), ACCEPTED, 10, 20)], False, True, id="a later cancel"),
        pytest.param([BOUGHT, Said(cancel(), ACCEPTED, 9, 20)], True, True, id="an overlapping cancel"),
        pytest.param([BOUGHT, Said(cancel(), UNKNOWN, 10, 20)], True, True, id="an unknown cancel"),
        pytest.param([BOUGHT, Said(cancel(), Outcome.INVALID, 10, 20)], True, False, id="a refused cancel"),
        pytest.param([Said(cancel(), ACCEPTED, -9, 0), BOUGHT], True, False, id="an earlier cancel"),
        pytest.param([Said(cancel(), UNKNOWN, -9, 0), BOUGHT], True, True, id="an earlier unknown cancel"),
        pytest.param([BOUGHT, Said(cancel("r1"), ACCEPTED, 10, 20)], False, True, id="a cancel by its id"),
        pytest.param(
            [BOUGHT, Said(cancel("r0"), ACCEPTED, 10, 20)], True, False, id="a cancel by another id"
        ),
        pytest.param([BOUGHT, Said(cancel("r0"), UNKNOWN, 10, 20)], True, False, id="unknown, by another id"),
        pytest.param(
            [ANONYMOUS, Said(cancel("r0"), ACCEPTED, 10, 20)], True, True, id="an id nobody was told"
        ),
        pytest.param([ANONYMOUS, Said(cancel(), ACCEPTED, 10, 20)], False, True, id="no ids at all"),
    ],
)
def test_what_may_stand_and_what_may_be_gone(
    calls: list[Said], may_be_there: bool, may_be_gone: bool
) -> None:
    """Both ways of ending are judged: the reservation in the books, and not in the books."""
    assert (broken(calls, [row(id="r1")]) == set()) is may_be_there
    assert (broken(calls, []) == set()) is may_be_gone


def test_an_unknown_reserve_explains_one_row_and_no_second() -> None:
    """It happened at most once, whatever id the target gave it."""
    calls = [BOUGHT, Said(reserve(), UNKNOWN, 20, None)]
    assert broken(calls, [row(id="r1"), row(id="r2")]) == set()
    assert broken(calls, [row(id="r1"), row(id="r2"), row(id="r3")]) == {ONCE, REFUSED}


def test_a_row_under_another_id_does_not_stand_for_an_accepted_one() -> None:
    """The buyer was told r1; that r2 may have come of the call without an answer does not help."""
    assert broken([BOUGHT, Said(reserve(), UNKNOWN, 20, None)], [row(id="r2")]) == {ONCE}


def test_rows_with_and_without_ids_are_explained_each_by_what_can_have_made_it() -> None:
    """A row without an id takes whatever is left over, so that it takes nothing from the others."""
    calls = [BOUGHT, Said(reserve(), ACCEPTED, 20, 30, "r2")]
    assert broken(calls, [row(), row(id="r1")]) == set()
    assert broken(calls, [row(), row(id="r1"), row(id="r2")]) == {ONCE, REFUSED}


@pytest.mark.parametrize("quantities", [(1, 2), (2, 1)])
def test_a_repeat_answered_with_the_same_id_is_the_same_reservation(quantities: tuple[int, int]) -> None:
    """It stands once, with one of the quantities that were asked for."""
    first, second = quantities
    calls = [
        Said(reserve(quantity=first), ACCEPTED, 0, 10, "r1"),
        Said(reserve(quantity=second), ACCEPTED, 20, 30, "r1"),
    ]
    assert broken(calls, [row(quantity=1, id="r1")]) == set()
    assert broken(calls, [row(quantity=2, id="r1")]) == set()
    assert broken(calls, [row(quantity=3, id="r1")]) == {ONCE, REFUSED}
    assert broken(calls, [row(id="r1"), row(id="r1")]) == {ONCE, REFUSED}


def test_a_repeat_may_name_what_a_call_without_an_answer_reserved() -> None:
    """The lost call asked for two and worked; the repeat is told the id of what stands already."""
    lost = Said(reserve(quantity=2), UNKNOWN, 0, None)
    calls = [lost, Said(reserve(quantity=1), ACCEPTED, 20, 30, "r1")]
    assert broken(calls, [row(quantity=2, id="r1")]) == set()


def test_an_id_may_pass_from_one_person_to_the_next_when_it_was_given_back() -> None:
    """A seat number is a fine id; only that both must have it is wrong."""
    other = Said(reserve("ben"), ACCEPTED, 30, 40, "r1")
    given_back = Said(cancel("r1"), ACCEPTED, 20, 25)
    assert broken([BOUGHT, given_back, other], [row("ben", id="r1")]) == set()
    assert broken([BOUGHT, other], [row(id="r1"), row("ben", id="r1")]) == {ONCE}


@pytest.mark.parametrize(
    ("others", "lie"),
    [
        pytest.param([], True, id="nobody else came"),
        pytest.param([Said(reserve("ben"), ACCEPTED, 90, 95)], False, id="sold before"),
        pytest.param([Said(reserve("ben"), ACCEPTED, 90, 105)], False, id="sold at the same time"),
        pytest.param(
            [Said(reserve("ben"), ACCEPTED, 109, 120)], False, id="perhaps sold just before the answer"
        ),
        pytest.param([Said(reserve("ben"), ACCEPTED, 110, 120)], True, id="sold afterwards"),
        pytest.param([Said(reserve("ben"), UNKNOWN, 0, 1)], False, id="perhaps sold"),
        pytest.param([Said(reserve("ben", proof=Proof.CUT), UNKNOWN, 0, 1)], True, id="stopped at the proof"),
        pytest.param([Said(reserve("ben"), SOLD_OUT, 110, 111)], True, id="others were refused too"),
        pytest.param([BOUGHT, Said(cancel(), ACCEPTED, 20, 100)], True, id="given back before"),
        pytest.param([BOUGHT, Said(cancel(), ACCEPTED, 20, 101)], False, id="given back at the same time"),
        pytest.param([BOUGHT, Said(cancel(), UNKNOWN, 20, 30)], False, id="perhaps given back"),
        pytest.param(
            [BOUGHT, Said(cancel(), ACCEPTED, 20, 30), Said(cancel(), ACCEPTED, 20, 200)],
            True,
            id="given back before, and once more later",
        ),
    ],
)
def test_a_sold_out_answer_is_judged_by_what_can_have_been_taken_during_the_call(
    others: list[Said], lie: bool
) -> None:
    """One unit, one refusal from 100 to 110: did anybody have it, or may anybody have had it?"""
    refusal = Said(reserve("zoe"), SOLD_OUT, 100, 110)
    found = evidence([*others, refusal], [], initial=1)
    assert bool(judge(found, [SOLD]).violations) is lie


def test_a_refusal_that_was_never_completed_may_have_been_explained_by_anybody() -> None:
    """Without an end of the call, every sale may have come before it."""
    refusal, sale = Said(reserve("zoe"), SOLD_OUT, 0, None), Said(reserve("ben"), ACCEPTED, 50, 60)
    assert judge(evidence([refusal, sale], [], initial=1), [SOLD]).violations == ()
