"""What a target hands over in a shape of its own is named, and gets no further."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.shapes import fault_of_answer, fault_of_books
from harness.model import Answer, Books, Entry, Outcome, Stock, Verdict
from tests.driving.fakes import MemoryTarget, as_specified
from tests.driving.judging import judge_of, shipped

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server

ANSWER = Answer(Outcome.ACCEPTED, reservation="r", remaining=1, sold=2, group=("a", "b"))
ROW = Entry(ticket="general", person="ada", reservation="r")
BOOKS = Books(
    stock=(Stock(ticket="general", initial=3, remaining=1, sold=1, held=1),),
    entries=(ROW,),
    holds=(ROW,),
    waiting=(ROW,),
    refunds=(ROW,),
)


def test_what_is_as_it_should_be_has_no_fault() -> None:
    """With everything that may be left out, and without."""
    assert fault_of_answer(ANSWER) is None
    assert fault_of_answer(Answer(Outcome.UNKNOWN)) is None
    assert fault_of_books(BOOKS) is None
    assert fault_of_books(Books(stock=(Stock(ticket="general", initial=3),))) is None


def test_a_target_may_have_a_kind_of_its_own() -> None:
    """What is more than an answer or a row is one all the same, with the same fields."""

    class Reply(Answer):
        """An answer with more to it."""

    class Ticket(Entry):
        """A row with more to it."""

    wrong: Any = 17
    assert fault_of_answer(Reply(Outcome.ACCEPTED)) is None
    assert "reservation=17" in (fault_of_answer(Reply(Outcome.ACCEPTED, reservation=wrong)) or "")
    assert fault_of_books(replace(BOOKS, entries=(Ticket(ticket="general", person="ada"),))) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "accepted"}, "outcome='accepted', where an Outcome belongs"),
        ({"reservation": 17}, "reservation=17, where a text or None belongs"),
        ({"remaining": "3"}, "remaining='3', where a whole number or None belongs"),
        ({"remaining": True}, "remaining=True"),
        ({"sold": 1.0}, "sold=1.0"),
        ({"group": None}, "group=None, where a tuple belongs"),
        ({"group": ["a"]}, "group="),
        ({"group": (1, 2)}, "group=(1, 2), where texts belong"),
        ({"detail": None}, "detail=None, where a text belongs"),
    ],
)
def test_an_answer_with_something_else_in_it(change: Any, message: str) -> None:
    """The field, what is in it, and what belongs there."""
    assert message in (fault_of_answer(replace(ANSWER, **change)) or "")


@pytest.mark.parametrize("rows", ["stock", "entries", "holds", "waiting", "refunds"])
@pytest.mark.parametrize("value", [["a list"], ("a text",), "a text", 7])
def test_books_whose_rows_are_something_else(rows: str, value: Any) -> None:
    """Every list of rows is looked at."""
    assert f"the {rows} in the target's books must be a tuple" in (
        fault_of_books(replace(BOOKS, **{rows: value})) or ""
    )


@pytest.mark.parametrize("rows", ["entries", "holds", "waiting", "refunds"])
@pytest.mark.parametrize(
    "change", [{"quantity": None}, {"quantity": "1"}, {"person": 7}, {"ticket": None}, {"reservation": 17}]
)
def test_a_row_with_something_else_in_it(rows: str, change: Any) -> None:
    """An id that is a number here and a text in the answer would look like a sale that was lost."""
    (name,) = change
    wrong: Any = {rows: (ROW, replace(ROW, **change))}
    books = replace(BOOKS, **wrong)
    assert f"a row of {rows} in the target's books has {name}=" in (fault_of_books(books) or "")


@pytest.mark.parametrize("change", [{"held": None}, {"held": "0"}, {"initial": None}, {"remaining": "1"}])
def test_stock_with_something_else_in_it(change: Any) -> None:
    """A number that is not kept is None, except that what is held is then nothing."""
    books = replace(BOOKS, stock=(replace(BOOKS.stock[0], **change),))
    assert "a row of stock in the target's books has" in (fault_of_books(books) or "")


async def test_a_target_that_names_by_numbers_is_told_so(server: Server, tmp_path: Path) -> None:
    """Inconclusive, with the answer's fault as the reason; no law is asked about it."""

    number: Any = 17

    async def by_number(client: Any, sale: Any, operation: Any) -> Answer:
        return replace(await as_specified(client, sale, operation), reservation=number)

    async with judge_of(server, MemoryTarget(by_number), tmp_path) as judge:
        check = await judge.check(shipped("last_ticket", 3), rounds=1)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert any("reservation=17, where a text or None belongs" in reason for reason in check.reasons)
    assert not check.violations
