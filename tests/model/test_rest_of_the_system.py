"""Holds, groups, waiting lists, capacities, refunds and reads: what one right system does with them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import reduce
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import (
    Answer,
    Cancel,
    ChangeCapacity,
    Confirm,
    Entry,
    Expire,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Operation,
    Outcome,
    Phase,
    Program,
    ReadAvailability,
    ReadNotice,
    ReadSales,
    Refund,
    Release,
    Reserve,
    ReserveGroup,
    Scenario,
    TicketType,
)
from harness.model.operations import features_of, kind_of, operation_from_dict, operation_to_dict
from harness.model.sequential import State, opening

GENERAL = TicketType(name="general", initial=2)
STOCK = (GENERAL, TicketType(name="balcony", initial=1), TicketType(name="late", initial=1, closed=True))
PEOPLE = ("ada", "ben", "cleo", "dan")


def after(*operations: Operation) -> tuple[State, Answer]:
    """The state after these operations, and the last answer."""
    start = (opening(STOCK), Answer(Outcome.INVALID))
    return reduce(lambda step, operation: step[0].apply(operation), operations, start)


def general(kind: type[Any], person: str = "ada", **more: Any) -> Any:
    return kind(ticket="general", person=person, **more)


def group(*members: str) -> ReserveGroup:
    return ReserveGroup(ticket="general", person="organizer", members=members)


def capacity(units: int) -> ChangeCapacity:
    return ChangeCapacity(ticket="general", person="organizer", capacity=units)


def numbers(*operations: Operation) -> tuple[int, int, int]:
    """Remaining, sold and held after these operations."""
    stock = after(*operations)[0].books().stock[0]
    return stock.remaining or 0, stock.sold or 0, stock.held


SOLD_OUT: list[Operation] = [general(Reserve, "cleo"), general(Reserve, "dan")]


@pytest.mark.parametrize(
    ("before", "operation", "outcome"),
    [
        ([], general(Hold), Outcome.ACCEPTED),
        ([], general(Hold, quantity=3), Outcome.SOLD_OUT),
        ([], general(Hold, quantity=0), Outcome.INVALID),
        ([], Hold(ticket="late", person="ada"), Outcome.INVALID),
        ([general(Hold)], general(Hold), Outcome.DUPLICATE),
        ([general(Hold)], Reserve(ticket="balcony", person="ada"), Outcome.DUPLICATE),
        ([general(Reserve)], general(Hold), Outcome.DUPLICATE),
        ([general(Hold, quantity=2)], general(Reserve, "ben"), Outcome.SOLD_OUT),
        ([], general(Confirm), Outcome.INVALID),
        ([general(Hold)], general(Confirm), Outcome.ACCEPTED),
        ([general(Hold)], general(Confirm, hold="ada#1"), Outcome.ACCEPTED),
        ([general(Hold)], general(Confirm, hold="ada#2"), Outcome.INVALID),
        ([general(Hold)], general(Confirm, "ben"), Outcome.INVALID),
        ([general(Hold), general(Confirm)], general(Confirm), Outcome.INVALID),
        ([general(Hold), general(Expire)], general(Confirm), Outcome.INVALID),
        ([general(Hold)], general(Release), Outcome.ACCEPTED),
        ([general(Hold), general(Release)], general(Release), Outcome.INVALID),
        ([general(Hold), general(Confirm)], general(Release), Outcome.INVALID),
        ([], general(Expire), Outcome.ACCEPTED),
        ([], Expire(ticket="none", person="ada"), Outcome.INVALID),
        ([], group("ada", "ben"), Outcome.ACCEPTED),
        ([], group(), Outcome.INVALID),
        ([], group("ada", "ada"), Outcome.INVALID),
        ([], group("ada", "ben", "cleo"), Outcome.SOLD_OUT),
        ([general(Reserve)], group("ada", "ben"), Outcome.DUPLICATE),
        ([], general(JoinWaitlist), Outcome.INVALID),
        (SOLD_OUT, general(JoinWaitlist), Outcome.ACCEPTED),
        ([*SOLD_OUT, general(JoinWaitlist)], general(JoinWaitlist), Outcome.DUPLICATE),
        (SOLD_OUT, general(JoinWaitlist, "dan"), Outcome.DUPLICATE),
        (SOLD_OUT, general(LeaveWaitlist), Outcome.INVALID),
        ([*SOLD_OUT, general(JoinWaitlist)], general(LeaveWaitlist), Outcome.ACCEPTED),
        (SOLD_OUT, capacity(1), Outcome.INVALID),
        (SOLD_OUT, capacity(2), Outcome.ACCEPTED),
        ([general(Hold)], capacity(0), Outcome.INVALID),
        ([], capacity(0), Outcome.ACCEPTED),
        ([], capacity(-1), Outcome.INVALID),
        ([], general(Refund), Outcome.INVALID),
        ([general(Reserve)], general(Refund), Outcome.ACCEPTED),
        ([general(Reserve), general(Cancel)], general(Refund), Outcome.INVALID),
        ([general(Reserve), general(Refund)], general(Refund), Outcome.INVALID),
        ([general(Reserve)], general(Cancel, "ben", whose="ada"), Outcome.INVALID),
        ([general(Reserve)], general(Cancel, whose="ada"), Outcome.ACCEPTED),
        ([], general(ReadNotice), Outcome.ACCEPTED),
        ([], ReadSales(ticket="none", person="ada"), Outcome.INVALID),
    ],
)
def test_the_first_reason_that_holds_refuses(
    before: list[Operation], operation: Operation, outcome: Outcome
) -> None:
    """And what is refused changes nothing."""
    earlier, _ = after(*before)
    later, answer = earlier.apply(operation)
    assert answer.outcome is outcome
    if outcome is not Outcome.ACCEPTED:
        assert later is earlier


def test_what_is_held_is_neither_sold_nor_remaining() -> None:
    """Until it is confirmed, which sells it, or given up, which puts it on sale again."""
    held = general(Hold, quantity=2)
    assert numbers(held) == (0, 0, 2)
    assert numbers(held, general(Confirm)) == (0, 2, 0)
    assert numbers(held, general(Release)) == (2, 0, 0)
    assert numbers(held, general(Expire)) == (2, 0, 0)
    assert numbers(held, general(Expire), general(Expire)) == (2, 0, 0)


def test_a_group_stands_for_one_unit_each() -> None:
    """Every member has a reservation of their own, which can be cancelled alone."""
    state, answer = after(group("ada", "ben"))
    assert answer.group == ("ada#1", "ben#1")
    assert {(entry.person, entry.quantity) for entry in state.standing} == {("ada", 1), ("ben", 1)}
    assert numbers(group("ada", "ben"), general(Cancel, "ben", reservation="ben#1")) == (1, 1, 0)


@pytest.mark.parametrize(
    "gives_back",
    [[general(Cancel, "dan")], [general(Refund, "dan")], [capacity(3)]],
)
def test_who_waits_longest_gets_what_comes_back(gives_back: list[Operation]) -> None:
    """In the same step, so that nobody can grab it first; the others move up."""
    line = [general(JoinWaitlist, "ada"), general(JoinWaitlist, "ben")]
    state, _ = after(*SOLD_OUT, *line, *gives_back)
    assert state.remaining("general") == 0
    assert any(entry.person == "ada" for entry in state.standing)
    assert [entry.person for entry in state.waiting] == ["ben"]


def test_a_hold_that_ends_goes_to_those_who_wait() -> None:
    """Released or run out: both give stock back."""
    for ends in (general(Release, "dan"), general(Expire, "dan")):
        state, _ = after(general(Hold, "dan", quantity=2), general(JoinWaitlist), ends)
        assert state.remaining("general") == 1
        assert [entry.person for entry in state.standing] == ["ada"]


def test_who_leaves_the_line_gets_nothing() -> None:
    """And the next one does."""
    line = [general(JoinWaitlist, "ada"), general(JoinWaitlist, "ben"), general(LeaveWaitlist, "ada")]
    state, _ = after(*SOLD_OUT, *line, general(Cancel, "dan"))
    assert {entry.person for entry in state.standing} == {"ben", "cleo"}


def test_who_has_something_by_then_is_passed_over() -> None:
    """One place for one person: the next in line gets it."""
    line = [general(JoinWaitlist, "ada"), general(JoinWaitlist, "ben")]
    bought = Reserve(ticket="balcony", person="ada")
    state, _ = after(*SOLD_OUT, *line, bought, general(Cancel, "dan"))
    assert {entry.person for entry in state.standing if entry.ticket == "general"} == {"ben", "cleo"}
    assert state.waiting == ()


def test_a_refund_is_a_cancel_that_is_written_down() -> None:
    """Once, under the name of what was given back."""
    state, _ = after(general(Reserve), general(Refund))
    assert state.standing == frozenset()
    assert state.books().refunds == (Entry(ticket="general", person="ada", reservation="ada#1"),)


def test_reads_tell_the_numbers() -> None:
    """Remaining for availability and notices, sold for statistics."""
    before = (general(Reserve), general(Hold, "ben"))
    assert after(*before, general(ReadAvailability))[1].remaining == 0
    assert after(*before, general(ReadNotice))[1].remaining == 0
    assert after(*before, general(ReadSales))[1].sold == 1


OK = Answer(Outcome.ACCEPTED)
NAMED = Answer(Outcome.ACCEPTED, reservation="r1")
NONE_LEFT = Answer(Outcome.SOLD_OUT)
TWICE = Answer(Outcome.DUPLICATE)
UNKNOWN = Answer(Outcome.UNKNOWN)
BOUGHT: list[Operation] = [general(Reserve)]
HELD: list[Operation] = [general(Hold)]
BY_BEN = general(Cancel, "ben", whose="ada", reservation="ada#1")
ANSWERS: list[tuple[str, list[Operation], Operation, Answer, int]] = [
    ("any true reason", [*BOUGHT, general(Reserve, "ben")], general(Reserve), NONE_LEFT, 1),
    ("sold out while something remains", [], general(Reserve), NONE_LEFT, 0),
    ("a duplicate of nothing", [], general(Reserve), TWICE, 0),
    ("rules of its own", [], general(Reserve), Answer(Outcome.INVALID), 1),
    ("try again", [], general(Reserve), Answer(Outcome.RETRYABLE), 1),
    ("more than there is", SOLD_OUT, general(Reserve), OK, 0),
    ("perhaps", [], general(Reserve), UNKNOWN, 2),
    ("cannot have happened", SOLD_OUT, general(Reserve), UNKNOWN, 1),
    ("after its own hold", HELD, general(Reserve), OK, 1),
    ("perhaps the same one again", BOUGHT, general(Reserve), OK, 1),
    ("the same one again", BOUGHT, general(Reserve), Answer(Outcome.ACCEPTED, reservation="ada#1"), 1),
    ("cancelled again", [*BOUGHT, general(Cancel)], general(Cancel, reservation="ada#1"), OK, 1),
    ("somebody else's", BOUGHT, BY_BEN, OK, 0),
    ("confirmed too late", [*HELD, general(Expire)], general(Confirm, hold="ada#1"), OK, 0),
    (
        "confirmed again",
        [*HELD, general(Confirm)],
        general(Confirm, hold="ada#1"),
        Answer(Outcome.ACCEPTED, reservation="ada#2"),
        1,
    ),
    ("refunded again", [*BOUGHT, general(Refund)], general(Refund, reservation="ada#1"), OK, 1),
    ("below what is sold", SOLD_OUT, capacity(1), OK, 0),
    ("a wrong number", [], general(ReadAvailability), Answer(Outcome.ACCEPTED, remaining=1), 0),
    ("the right number", [], general(ReadAvailability), Answer(Outcome.ACCEPTED, remaining=2), 1),
    ("no number", [], general(ReadSales), OK, 1),
    ("a wrong count", BOUGHT, general(ReadSales), Answer(Outcome.ACCEPTED, sold=2), 0),
    ("waits though something remains", [], general(JoinWaitlist), OK, 1),
    ("waits though the sale has ended", [], JoinWaitlist(ticket="late", person="ada"), OK, 0),
    ("the same one again, by a name not heard", BOUGHT, general(Reserve), NAMED, 1),
    ("held again, or once more", HELD, general(Hold), NAMED, 2),
    ("waits again", [*SOLD_OUT, general(JoinWaitlist)], general(JoinWaitlist), OK, 1),
    ("the same group again", [group("ada", "ben")], group("ada", "ben"), OK, 1),
    ("another group with one of them", [group("ada", "ben")], group("ben", "cleo"), OK, 0),
    ("waits for what there is not", [], JoinWaitlist(ticket="none", person="ada"), OK, 0),
]


@pytest.mark.parametrize(
    ("before", "operation", "answer", "states"),
    [pytest.param(*case, id=name) for name, *case in ANSWERS],
)
def test_an_answer_of_a_target_is_followed_as_far_as_it_is_right(
    before: list[Operation], operation: Operation, answer: Answer, states: int
) -> None:
    """Right systems differ; a wrong answer leaves no state that explains it."""
    assert len(after(*before)[0].follow(operation, answer)) == states


def test_a_name_that_was_never_heard_still_finds_its_row() -> None:
    """Who got something while waiting learns its name from the books, and may cancel by it."""
    state, _ = after(*SOLD_OUT, general(JoinWaitlist), general(Cancel, "dan"))
    (freed,) = state.follow(general(Cancel, reservation="row-17"), Answer(Outcome.ACCEPTED))
    assert freed.remaining("general") == 1


def test_the_names_are_the_targets_own() -> None:
    """What was answered is what later operations are about."""
    (state,) = opening(STOCK).follow(general(Hold), Answer(Outcome.ACCEPTED, reservation="h1"))
    (state,) = state.follow(general(Confirm, hold="h1"), Answer(Outcome.ACCEPTED, reservation="r1"))
    assert state.standing == {Entry(ticket="general", person="ada", reservation="r1")}
    assert state.follow(general(Confirm, hold="h2"), Answer(Outcome.ACCEPTED, reservation="r2")) == ()
    assert state.follow(general(Reserve), Answer(Outcome.ACCEPTED, reservation="r2")) == ()


def _built(kind: Any) -> st.SearchStrategy[Any]:
    more: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
        Hold: {"quantity": st.integers(0, 2)},
        Reserve: {"quantity": st.integers(0, 2)},
        ReserveGroup: {"members": st.lists(st.sampled_from(PEOPLE), max_size=3).map(tuple)},
        ChangeCapacity: {"capacity": st.integers(-1, 4)},
        Cancel: {"whose": st.none() | st.sampled_from(PEOPLE)},
    }
    tickets = st.sampled_from([ticket.name for ticket in STOCK])
    return st.builds(kind, ticket=tickets, person=st.sampled_from(PEOPLE), **more.get(kind, {}))


OPERATIONS: st.SearchStrategy[Any] = st.one_of([_built(kind) for kind in get_args(Operation)])


@given(st.lists(OPERATIONS, max_size=15))
def test_the_specification_keeps_its_own_promises(operations: list[Operation]) -> None:
    """Sold, held and remaining add up to the capacity, one place for each person, and answers are right."""
    state = opening(STOCK)
    for operation in operations:
        later, answer = state.apply(operation)
        assert later in state.follow(operation, answer)
        assert later.shows(later.books())
        state = later
        for stock in state.books().stock:
            assert stock.remaining is not None
            assert stock.remaining >= 0
            assert (stock.sold or 0) + stock.held + stock.remaining == stock.initial
        occupied = [entry.person for entry in (*state.standing, *state.held)]
        assert len(set(occupied)) == len(occupied)
        waiting = {entry.ticket for entry in state.waiting}
        assert all(state.remaining(ticket) == 0 for ticket in waiting)


@pytest.mark.parametrize("rows", ["entries", "holds", "waiting", "refunds"])
def test_books_that_leave_a_row_out_are_not_those_of_the_state(rows: str) -> None:
    """Every list is compared, where the books have it at all."""
    state, _ = after(*SOLD_OUT, general(JoinWaitlist, "ben"), general(Refund, "dan"))
    state, _ = state.apply(Hold(ticket="balcony", person="ada"))
    state, _ = state.apply(general(JoinWaitlist, "dan"))
    books = state.books()
    assert getattr(books, rows)
    empty: Any = {rows: ()}
    unread: Any = {rows: None}
    assert state.shows(books)
    assert state.shows(replace(books, **unread))
    assert not state.shows(replace(books, **empty))


@pytest.mark.parametrize("number", ["remaining", "sold", "held"])
def test_books_with_another_number_are_not_those_of_the_state(number: str) -> None:
    """Numbers that the books do not tell are not compared."""
    state, _ = after(general(Reserve))
    books = state.books()
    wrong: Any = {number: 7}
    assert not state.shows(replace(books, stock=(replace(books.stock[0], **wrong), *books.stock[1:])))
    assert state.shows(replace(books, stock=(replace(books.stock[0], remaining=None, sold=None),)))


@given(OPERATIONS)
def test_an_operation_survives_the_way_through_json(operation: Operation) -> None:
    """Kind, fields and all."""
    data = operation_to_dict(operation)
    assert data["kind"] == kind_of(operation)
    assert operation_from_dict(data) == operation


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        (ReserveGroup, {"members": "ada"}, "members cannot be 'ada': in a reserve_group it is tuple"),
        (ReserveGroup, {"members": ("ada", 7)}, "members cannot be"),
        (ChangeCapacity, {"capacity": "six"}, "capacity cannot be 'six'"),
        (Hold, {"quantity": True}, "quantity cannot be True"),
        (Hold, {"quantity": None}, "quantity cannot be None"),
        (Cancel, {"whose": 7}, "whose cannot be 7"),
        (Confirm, {"hold": 7}, "hold cannot be 7"),
        (Reserve, {"disconnects": "yes"}, "disconnects cannot be 'yes'"),
        (Reserve, {"proof": "good"}, "proof cannot be 'good'"),
        (Expire, {"person": None}, "person cannot be None"),
    ],
)
def test_an_operation_with_something_else_in_it_makes_no_scenario(kind: Any, more: Any, message: str) -> None:
    """A group whose members are one text would be a group of its letters, and a pass without a meaning."""
    wrong = kind(**{"ticket": "general", "person": "ada", **more})
    with pytest.raises(ValueError, match=re.escape(message)):
        Scenario(tickets=STOCK, phases=(Phase("all", (Program("a", (wrong,)),)),))


def test_a_cancel_for_somebody_else_needs_a_target_that_knows_who_asks() -> None:
    """One of the person's own does not."""
    assert features_of(general(Cancel, "ben", whose="ada")) == {Feature.CANCEL, Feature.OWNERSHIP}
    assert features_of(general(Cancel, "ada", whose="ada")) == {Feature.CANCEL}
