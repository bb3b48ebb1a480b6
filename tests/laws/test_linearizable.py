"""The law that judges whole histories: what it accuses, what it leaves open, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.laws import judge
from harness.laws._checker.search import search
from harness.laws.linearizable import explain
from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    Entry,
    Evidence,
    Judgement,
    Outcome,
    Phase,
    Program,
    ReadAvailability,
    Reserve,
    Scenario,
    Stock,
    TicketType,
)
from harness.model.history import Explained, Part

if TYPE_CHECKING:
    from harness.model import Operation

ACCEPTED, UNKNOWN, SOLD_OUT = Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.SOLD_OUT
DUPLICATE, INVALID = Outcome.DUPLICATE, Outcome.INVALID
GENERAL = TicketType(name="general", initial=1)


def call(
    operation: Operation,
    outcome: Outcome,
    invoked: int,
    completed: int | None,
    *,
    remaining: int | None = None,
    id: str | None = None,
) -> Call:
    return Call(
        index=invoked,
        client=operation.person,
        phase=0,
        operation=operation,
        answer=Answer(outcome, reservation=id, remaining=remaining),
        invoked=invoked,
        completed=completed,
    )


def buy(person: str, outcome: Outcome, invoked: int, completed: int | None, *, quantity: int = 1) -> Call:
    return call(Reserve(ticket="general", person=person, quantity=quantity), outcome, invoked, completed)


def cancel(person: str, outcome: Outcome, invoked: int, completed: int | None) -> Call:
    return call(Cancel(ticket="general", person=person), outcome, invoked, completed)


def read(value: int, invoked: int, completed: int) -> Call:
    reads = ReadAvailability(ticket="general", person="reader")
    return call(reads, ACCEPTED, invoked, completed, remaining=value)


SOLD = buy("ada", ACCEPTED, 0, 10)


@pytest.mark.parametrize(
    ("calls", "explained"),
    [
        pytest.param([SOLD, buy("ben", SOLD_OUT, 10, 20)], True, id="refused afterwards"),
        pytest.param([SOLD, buy("ben", SOLD_OUT, 9, 20)], True, id="refused meanwhile"),
        pytest.param([buy("ben", SOLD_OUT, -9, 0), SOLD], False, id="refused before"),
        pytest.param([SOLD, buy("ben", ACCEPTED, 10, 20)], False, id="sold twice"),
        pytest.param([SOLD, read(1, 10, 20)], False, id="a stale read"),
        pytest.param([SOLD, read(1, 9, 20)], True, id="a read that overlaps"),
        pytest.param([SOLD, read(1, 5, 20), read(0, 6, 20)], True, id="two reads around one sale"),
        pytest.param([SOLD, read(0, 1, 4), read(1, 5, 9)], False, id="two reads that contradict"),
        pytest.param([buy("ada", DUPLICATE, 0, 10)], False, id="a duplicate of nothing"),
        pytest.param([SOLD, buy("ada", ACCEPTED, 10, 20)], True, id="a repeat that is recognised"),
        pytest.param([buy("ada", UNKNOWN, 0, 5), read(0, 9, 20)], True, id="an unknown sale that happened"),
        pytest.param([buy("ada", UNKNOWN, 0, 5), read(1, 9, 20)], True, id="an unknown sale that did not"),
        pytest.param(
            [buy("ada", UNKNOWN, 0, None), read(0, 9, 20), read(1, 20, 30)], False, id="it cannot be undone"
        ),
        pytest.param(
            [SOLD, cancel("ada", UNKNOWN, 10, 20), buy("ben", ACCEPTED, 30, 40)],
            True,
            id="an unknown cancel that happened",
        ),
        pytest.param(
            [SOLD, cancel("ada", ACCEPTED, 10, 20), buy("ben", SOLD_OUT, 20, 30)],
            False,
            id="refused after a cancel",
        ),
        pytest.param([SOLD, cancel("ada", INVALID, 10, 20), read(0, 30, 40)], True, id="a refused cancel"),
        pytest.param([cancel("ada", ACCEPTED, -9, 0), SOLD], True, id="a cancel of nothing"),
        pytest.param(
            [cancel("ada", ACCEPTED, -9, 0), read(2, 0, 5)], False, id="a cancel of nothing that gives back"
        ),
        pytest.param([cancel("ada", ACCEPTED, -9, 5), SOLD], True, id="a cancel meanwhile"),
        pytest.param([buy("ada", SOLD_OUT, 0, 9, quantity=2)], True, id="more than there is"),
    ],
)
def test_a_history_is_explained_by_an_order_that_keeps_to_its_times(
    calls: list[Call], explained: bool
) -> None:
    """One unit on sale: every answer has to come true at one moment of its call."""
    (finding,) = explain([GENERAL], calls)
    assert finding.explained is (Explained.YES if explained else Explained.NO)


def test_who_asks_again_after_a_lost_answer_may_be_told_what_they_have() -> None:
    """It was sold before the repeat, as the first read shows, and not once more, as the second does."""
    again = call(Reserve(ticket="general", person="ada"), ACCEPTED, 4, 5, id="r1")
    (finding,) = explain([GENERAL], [buy("ada", UNKNOWN, 0, 1), read(0, 2, 3), again, read(0, 6, 7)])
    assert finding.explained is Explained.YES


def evidence(*calls: Call, entries: tuple[Entry, ...] | None = None) -> Evidence:
    program = Program("ada", (Reserve(ticket="general", person="ada"),))
    return Evidence(
        scenario=Scenario(tickets=(GENERAL,), phases=(Phase("all", (program,)),)),
        history=calls,
        books=Books(stock=(Stock(ticket="general", initial=1),), entries=entries),
    )


def test_the_books_at_the_end_have_to_be_reachable() -> None:
    """A row that no order leaves behind, or one that every order does and is missing."""
    row = Entry(ticket="general", person="ada")
    assert judge(evidence(SOLD, entries=(row,)), ["linearizable"]).violations == ()
    for rows in ((), (row, row)):
        (violation,) = judge(evidence(SOLD, entries=rows), ["linearizable"]).violations
        assert "no explanation leaves the books" in violation.message


def test_an_unknown_call_may_have_taken_effect_after_everything_else() -> None:
    """The books may show it, or not."""
    late = buy("ada", UNKNOWN, 0, None)
    for rows in ((), (Entry(ticket="general", person="ada"),)):
        found = evidence(late, read(1, 5, 9), entries=rows)
        assert judge(found, ["linearizable"]).violations == ()


def test_it_names_the_first_call_that_nothing_explains_and_those_around_it() -> None:
    """The second sale of one unit; not the read that is wrong too, only later."""
    ms = 1_000_000
    second = buy("ben", ACCEPTED, 10 * ms, 20 * ms)
    calls = (buy("ada", ACCEPTED, 0, 5 * ms), second, read(1, 30 * ms, 40 * ms))
    (violation,) = judge(evidence(*calls), ["linearizable"]).violations
    assert (violation.ticket, violation.buyers) == ("general", ("ben",))
    assert violation.message == (
        "general: nothing explains ben's reserve (moment 3 to moment 4): accepted; "
        "no order of the calls up to its answer gives all of their answers. "
        "Around it, in the order of invocation: ada's reserve (moment 1 to moment 2): accepted."
    )


def test_a_search_that_runs_out_of_budget_says_nothing_of_the_history() -> None:
    """Undecided is no verdict."""
    part = Part((GENERAL,), tuple(buy(str(number), UNKNOWN, 0, None) for number in range(9)))
    finding = search(part, Books(stock=(Stock(ticket="general", initial=1, remaining=5),)), budget=9)
    assert finding.explained is Explained.UNDECIDED
    assert "9 configurations" in finding.reason


def test_events_are_judged_each_by_itself() -> None:
    """What is wrong with one is not explained by calls of another."""
    other = TicketType(name="other", initial=1, event="saturday")
    stale = call(ReadAvailability(ticket="other", person="reader"), ACCEPTED, 20, 30, remaining=0)
    findings = explain([GENERAL, other], [SOLD, stale])
    assert [finding.explained for finding in findings] == [Explained.YES, Explained.NO]


def test_evidence_without_calls_is_explained() -> None:
    """Nothing was said, so nothing is wrong."""
    result = judge(evidence(), ["linearizable"]).results["linearizable"]
    assert result.judgement is Judgement.HELD
