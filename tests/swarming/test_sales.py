"""One sale after the other, each with as much on sale as the load can sell out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.model import Stock, TicketType
from harness.swarming.sales import is_sold_out, scaled

TICKETS = st.lists(
    st.builds(TicketType, name=st.uuids().map(str), initial=st.integers(0, 50), closed=st.booleans()),
    min_size=1,
    max_size=5,
)


@given(TICKETS, st.integers(1, 5000))
def test_stock_is_shared_out_as_it_was(tickets: list[TicketType], total: int) -> None:
    """In proportion, and as much as was asked for; none stays none, some some, and closed closed."""
    found = scaled(tickets, total)
    was = sum(ticket.initial for ticket in tickets)
    for before, after in zip(tickets, found, strict=True):
        assert (after.name, after.event, after.closed) == (before.name, before.event, before.closed)
        assert bool(after.initial) is bool(before.initial)
        assert abs(after.initial - before.initial * total / max(was, 1)) <= 1
    some = sum(1 for ticket in tickets if ticket.initial)
    if was and total >= some * 50:
        assert sum(ticket.initial for ticket in found) == total


def test_sold_out_is_when_nothing_remains_of_what_can_be_bought() -> None:
    """What is closed, or was never there, is waited for by nobody; what is not known yet is not sold out."""
    tickets = (
        TicketType(name="general", initial=2),
        TicketType(name="late", initial=2, closed=True),
        TicketType(name="none", initial=0),
    )
    some = Stock(ticket="general", initial=2, remaining=1, sold=1)
    gone = Stock(ticket="general", initial=2, remaining=0, sold=2)
    lying = Stock(ticket="general", initial=2, remaining=2, sold=2)
    uncounted = Stock(ticket="general", initial=2, held=1, sold=1)
    assert not is_sold_out(tickets, {})
    assert not is_sold_out(tickets, {"general": some})
    assert is_sold_out(tickets, {"general": gone})
    assert is_sold_out(tickets, {"general": lying})
    assert is_sold_out(tickets, {"general": uncounted})
    assert not is_sold_out(tickets[1:], {})
