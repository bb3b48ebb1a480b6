"""The sequential specification refuses in its documented order and keeps its books in balance."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import (
    Answer,
    Cancel,
    Entry,
    Operation,
    Outcome,
    Proof,
    ReadAvailability,
    Reserve,
    TicketType,
)
from harness.model.sequential import State, opening
from tests.strategies import PEOPLE, operations, stocks

GENERAL = TicketType(name="general", initial=2)
BALCONY = TicketType(name="balcony", initial=1)
CLOSED = TicketType(name="closed", initial=5, closed=True)
SATURDAY = TicketType(name="saturday", initial=1, event="saturday")
STOCK = (GENERAL, BALCONY, CLOSED, SATURDAY)


def after(*operations: Operation) -> tuple[State, Answer]:
    """The state after these operations, and the last answer."""
    start = (opening(STOCK), Answer(Outcome.INVALID))
    return reduce(lambda step, operation: step[0].apply(operation), operations, start)


def reserve(person: str, ticket: str = "general", quantity: int = 1, proof: Proof = Proof.NONE) -> Reserve:
    return Reserve(ticket=ticket, person=person, quantity=quantity, proof=proof)


@pytest.mark.parametrize(
    ("before", "operation", "outcome"),
    [
        ([], reserve("ada"), Outcome.ACCEPTED),
        ([], reserve("ada", quantity=2, proof=Proof.GOOD), Outcome.ACCEPTED),
        ([], reserve("ada", proof=Proof.REFUSED), Outcome.INVALID),
        ([], reserve("ada", proof=Proof.CUT), Outcome.INVALID),
        ([], reserve("ada", "no such"), Outcome.INVALID),
        ([], reserve("ada", quantity=0), Outcome.INVALID),
        ([], reserve("ada", "closed"), Outcome.INVALID),
        ([], reserve("ada", quantity=3), Outcome.SOLD_OUT),
        ([reserve("ada")], reserve("ada"), Outcome.DUPLICATE),
        ([reserve("ada")], reserve("ada", "balcony"), Outcome.DUPLICATE),
        ([reserve("ada")], reserve("ada", "saturday"), Outcome.ACCEPTED),
        ([reserve("ada")], reserve("ada", "closed"), Outcome.DUPLICATE),
        ([reserve("ada")], reserve("ada", proof=Proof.CUT), Outcome.INVALID),
        ([reserve("ada", quantity=2)], reserve("ada"), Outcome.DUPLICATE),
        ([reserve("ada", quantity=2)], reserve("ben"), Outcome.SOLD_OUT),
        ([reserve("ada")], reserve("ben", quantity=2), Outcome.SOLD_OUT),
        ([], Cancel(ticket="general", person="ada"), Outcome.INVALID),
        ([reserve("ada")], Cancel(ticket="general", person="ben"), Outcome.INVALID),
        ([reserve("ada")], Cancel(ticket="balcony", person="ada"), Outcome.INVALID),
        ([reserve("ada")], Cancel(ticket="general", person="ada"), Outcome.ACCEPTED),
        ([reserve("ada")], Cancel(ticket="general", person="ada", reservation="ada#1"), Outcome.ACCEPTED),
        ([reserve("ada")], Cancel(ticket="general", person="ada", reservation="ada#2"), Outcome.INVALID),
        ([], ReadAvailability(ticket="general", person="ada"), Outcome.ACCEPTED),
        ([], ReadAvailability(ticket="no such", person="ada"), Outcome.INVALID),
    ],
)
def test_the_first_reason_that_holds_refuses(
    before: list[Operation], operation: Operation, outcome: Outcome
) -> None:
    """In the order that the page gives: proof, sense, duplicate, deadline, stock."""
    earlier, _ = after(*before)
    later, answer = earlier.apply(operation)
    assert answer.outcome is outcome
    if outcome is not Outcome.ACCEPTED:
        assert later is earlier


def test_answers_say_what_remains_and_name_the_reservation() -> None:
    """A buyer is told a name for what was reserved, never one that was given out before."""
    cancel = Cancel(ticket="general", person="ada")
    assert after(reserve("ada", quantity=2))[1] == Answer(Outcome.ACCEPTED, reservation="ada#1", remaining=0)
    assert after(reserve("ada", quantity=2), cancel)[1].remaining == 2
    assert after(reserve("ada"), cancel, reserve("ada"))[1].reservation == "ada#2"
    assert after(reserve("ada"), reserve("ben", quantity=2))[1].remaining == 1
    assert after(reserve("ada"), ReadAvailability(ticket="general", person="ben"))[1].remaining == 1


def test_the_books_show_numbers_and_rows_in_a_fixed_order() -> None:
    """Equal states have equal books, in whatever order people came."""
    one, _ = after(reserve("ada"), reserve("ben", "saturday"))
    other, _ = after(reserve("ben", "saturday"), reserve("ada"))
    assert one == other
    assert hash(one) == hash(other)
    assert one.books() == other.books()
    assert one.books().entries == (
        Entry(ticket="general", person="ada", reservation="ada#1"),
        Entry(ticket="saturday", person="ben", reservation="ben#1"),
    )
    general = one.books().stock[0]
    assert (general.ticket, general.initial, general.remaining, general.sold, general.held) == (
        "general",
        2,
        1,
        1,
        0,
    )


@given(data=st.data())
def test_sold_and_remaining_always_add_up(data: st.DataObject) -> None:
    """Whatever is done to it in whatever order, the specification keeps every promise itself."""
    tickets = data.draw(stocks())
    state = opening(tickets)
    for operation in data.draw(st.lists(operations(tickets, PEOPLE), max_size=12)):
        state, answer = state.apply(operation)
        assert answer.outcome not in (Outcome.UNKNOWN, Outcome.RETRYABLE)
        books = state.books()
        for ticket, stock in zip(tickets, books.stock, strict=True):
            assert stock.remaining is not None
            assert stock.remaining >= 0
            assert (books.sold(stock) or 0) + stock.remaining == ticket.initial
            assert not (ticket.closed and books.of(ticket.name))
