"""Every law cries when what it forbids is planted in evidence that was right before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings

from harness.laws import LAWS, judge
from harness.model import (
    Answer,
    Books,
    Call,
    Cancel,
    Entry,
    Evidence,
    Incident,
    IncidentKind,
    Operation,
    Outcome,
    Proof,
    ReadAvailability,
    Reserve,
    Stock,
    TicketType,
)
from tests.strategies import ALL_SHOWN, evidences

if TYPE_CHECKING:
    from collections.abc import Callable

NEWCOMER = "newcomer"
"""Nobody in the drawn evidence is called this."""


@dataclass(frozen=True)
class Plant:
    """Something wrong, put into right evidence."""

    law: str
    """Must cry."""
    sow: Callable[[Evidence], Evidence]
    others: frozenset[str] = frozenset()
    """May cry too, because the same thing breaks them."""

    def __str__(self) -> str:
        return f"{self.sow.__name__} -> {self.law}"


# --- ways to change evidence -------------------------------------------------------------------------


def told(
    evidence: Evidence, operation: Reserve | Cancel, outcome: Outcome, id: str | None = None
) -> Evidence:
    """Add one more call after everything else."""
    end = max((max(call.invoked, call.completed or 0) for call in evidence.history), default=0)
    call = Call(
        index=len(evidence.history),
        client=operation.person,
        phase=9,
        operation=operation,
        answer=Answer(outcome, reservation=id),
        invoked=end + 1,
        completed=end + 2,
    )
    return replace(evidence, history=(*evidence.history, call))


def with_rows(evidence: Evidence, *entries: Entry) -> Evidence:
    """Add rows to the final books."""
    books = evidence.books
    return replace(evidence, books=replace(books, entries=(*(books.entries or ()), *entries)))


def with_stock(evidence: Evidence, **changes: Callable[[int], int]) -> Evidence:
    """Change the numbers of the first ticket type in the final books."""
    return replace(evidence, books=_changed(evidence.books, **changes))


def sold(evidence: Evidence, *entries: Entry) -> Evidence:
    """Add rows to the final books and take them out of the stock, as a target would."""
    count = sum(entry.quantity for entry in entries)
    return with_rows(with_stock(evidence, remaining=minus(count), sold=minus(-count)), *entries)


def minus(count: int) -> Callable[[int], int]:
    return lambda number: number - count


def first(evidence: Evidence) -> str:
    """The first ticket type, which is always on sale."""
    return evidence.scenario.tickets[0].name


def reserve(evidence: Evidence, quantity: int = 1) -> Reserve:
    return Reserve(ticket=first(evidence), person=NEWCOMER, quantity=quantity)


def entry(evidence: Evidence, id: str | None = "new#1", quantity: int = 1) -> Entry:
    return Entry(ticket=first(evidence), person=NEWCOMER, quantity=quantity, reservation=id)


def _changed(books: Books, **changes: Callable[[int], int]) -> Books:
    stock, *others = books.stock
    new = {name: change(getattr(stock, name)) for name, change in changes.items()}
    return replace(books, stock=(_with(stock, new), *others))


def _with(stock: Stock, numbers: dict[str, int]) -> Stock:
    return replace(stock, **numbers)  # type: ignore[arg-type]  # only numbers are ever changed


def _roomy(evidence: Evidence) -> None:
    """Leave out evidence in which one more ticket cannot be sold rightfully."""
    assume((evidence.books.stock[0].remaining or 0) >= 1)


# --- plants ------------------------------------------------------------------------------------------


def one_sale_too_many(evidence: Evidence) -> Evidence:
    """Everything was sold to the last ticket, and then one more was."""
    left = evidence.books.stock[0].remaining or 0
    for number in range(left + 1):
        wanted = Reserve(ticket=first(evidence), person=f"{NEWCOMER}-{number}")
        evidence = told(evidence, wanted, Outcome.ACCEPTED, f"new#{number}")
        row = Entry(ticket=wanted.ticket, person=wanted.person, reservation=f"new#{number}")
        evidence = with_rows(with_stock(evidence, sold=minus(-1)), row)
    return with_stock(evidence, remaining=lambda _: 0)


def one_sale_too_many_on_the_way(evidence: Evidence) -> Evidence:
    """One committed state, seen while the run was under way, showed one unit too many."""
    return replace(evidence, states=(*evidence.states, _changed(evidence.books, remaining=minus(-1))))


def sale_without_decrement(evidence: Evidence) -> Evidence:
    """A reservation was written down and nothing taken out of stock."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    return with_rows(with_stock(evidence, sold=minus(-1)), entry(evidence))


def sales_seen_in_answers_only(evidence: Evidence) -> Evidence:
    """A target that shows nothing told one person too many that a reservation was accepted."""
    for number in range(evidence.scenario.tickets[0].initial + 1):
        wanted = Reserve(ticket=first(evidence), person=f"{NEWCOMER}-{number}")
        evidence = told(evidence, wanted, Outcome.ACCEPTED)
    hidden = tuple(Stock(ticket=stock.ticket, initial=stock.initial) for stock in evidence.books.stock)
    return replace(evidence, books=Books(stock=hidden), states=())


def double_credit(evidence: Evidence) -> Evidence:
    """Something was given back twice."""
    return with_stock(evidence, remaining=minus(-1))


def lost_ticket(evidence: Evidence) -> Evidence:
    """One unit was taken out of stock for nobody."""
    _roomy(evidence)
    return with_stock(evidence, remaining=minus(1))


def counter_below_zero(evidence: Evidence) -> Evidence:
    """A counter was decremented without a guard, and mended before the end."""
    low = _changed(evidence.books, remaining=lambda _: -1)
    return replace(evidence, states=(*evidence.states, low))


def row_for_nothing(evidence: Evidence) -> Evidence:
    """A reservation stands for no unit at all."""
    evidence = told(evidence, reserve(evidence, 0), Outcome.ACCEPTED, "new#1")
    return with_rows(evidence, entry(evidence, quantity=0))


def counter_that_drifts(evidence: Evidence) -> Evidence:
    """The count of what was sold was not kept up."""
    return with_stock(evidence, sold=minus(1))


def second_row(evidence: Evidence) -> Evidence:
    """One accepted reservation was written down twice under one id."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    return sold(evidence, entry(evidence), entry(evidence))


def second_row_without_ids(evidence: Evidence) -> Evidence:
    """One accepted reservation was written down twice, and no id tells."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED)
    return sold(evidence, entry(evidence, None), entry(evidence, None))


def accepted_and_missing(evidence: Evidence) -> Evidence:
    """Somebody was told that it worked, and is not in the books."""
    return told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")


def accepted_and_missing_without_id(evidence: Evidence) -> Evidence:
    """The same, when the target gives no ids."""
    return told(evidence, reserve(evidence), Outcome.ACCEPTED)


def removed_by_refused_cancel(evidence: Evidence) -> Evidence:
    """A cancel was refused and took the reservation away all the same."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    cancel = Cancel(ticket=first(evidence), person=NEWCOMER, reservation="new#1")
    return told(evidence, cancel, Outcome.INVALID)


def lost_after_rebooking(evidence: Evidence) -> Evidence:
    """Reserved, cancelled and reserved again; the last one, under the same id, is not in the books."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    cancel = Cancel(ticket=first(evidence), person=NEWCOMER, reservation="new#1")
    evidence = told(evidence, cancel, Outcome.ACCEPTED)
    return told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")


def cancelled_and_standing(evidence: Evidence) -> Evidence:
    """A cancel was accepted and undid nothing."""
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    cancel = Cancel(ticket=first(evidence), person=NEWCOMER, reservation="new#1")
    return sold(told(evidence, cancel, Outcome.ACCEPTED), entry(evidence))


def another_quantity(evidence: Evidence) -> Evidence:
    """Two were asked for and accepted, one was written down."""
    evidence = told(evidence, reserve(evidence, 2), Outcome.ACCEPTED, "new#1")
    return sold(evidence, entry(evidence))


def one_id_for_two_people(evidence: Evidence) -> Evidence:
    """Two people were told that the same reservation is theirs."""
    other = Reserve(ticket=first(evidence), person="latecomer")
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    evidence = told(evidence, other, Outcome.ACCEPTED, "new#1")
    row = Entry(ticket=first(evidence), person="latecomer", reservation="new#1")
    return sold(evidence, entry(evidence), row)


def refused_and_standing(outcome: Outcome) -> Callable[[Evidence], Evidence]:
    """Return a plant: somebody was refused, and is in the books."""

    def plant(evidence: Evidence) -> Evidence:
        return sold(told(evidence, reserve(evidence), outcome), entry(evidence))

    plant.__name__ = f"{outcome.value}_and_standing"
    return plant


def never_asked(evidence: Evidence) -> Evidence:
    """Somebody who did nothing is in the books."""
    return sold(evidence, entry(evidence))


def bought_without_proof(evidence: Evidence) -> Evidence:
    """The upload of the payment proof broke off, and the ticket was bought all the same."""
    wanted = replace(reserve(evidence), proof=Proof.CUT)
    return sold(told(evidence, wanted, Outcome.UNKNOWN), entry(evidence))


def bought_with_refused_proof(evidence: Evidence) -> Evidence:
    """A payment proof of a kind that must be refused was accepted."""
    wanted = replace(reserve(evidence), proof=Proof.REFUSED)
    return sold(told(evidence, wanted, Outcome.ACCEPTED, "new#1"), entry(evidence))


def more_units_than_asked_for(evidence: Evidence) -> Evidence:
    """One unit was asked for, nobody knows whether it worked, and two are in the books."""
    return sold(told(evidence, reserve(evidence), Outcome.UNKNOWN), entry(evidence, quantity=2))


def two_for_one_person(evidence: Evidence) -> Evidence:
    """One person reserved twice for one event, and both were accepted."""
    for id in ("new#1", "new#2"):
        evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, id)
    return sold(evidence, entry(evidence, "new#1"), entry(evidence, "new#2"))


def two_ticket_types_for_one_person(evidence: Evidence) -> Evidence:
    """One person reserved two ticket types of one event, and both were accepted."""
    ticket = TicketType(name="extra", initial=1, event=evidence.scenario.tickets[0].event)
    scenario = replace(evidence.scenario, tickets=(*evidence.scenario.tickets, ticket))
    evidence = replace(evidence, scenario=scenario)
    extra = Reserve(ticket="extra", person=NEWCOMER)
    evidence = told(evidence, reserve(evidence), Outcome.ACCEPTED, "new#1")
    evidence = told(evidence, extra, Outcome.ACCEPTED, "new#2")
    evidence = sold(evidence, entry(evidence))
    stock = (*evidence.books.stock, Stock(ticket="extra", initial=1, remaining=0, sold=1))
    evidence = replace(evidence, books=replace(evidence.books, stock=stock))
    return with_rows(evidence, Entry(ticket="extra", person=NEWCOMER, reservation="new#2"))


def sold_out_before_anybody_came(evidence: Evidence) -> Evidence:
    """The first buyer of all was told that everything was sold."""
    assume(evidence.scenario.tickets[0].initial >= 1)
    answer = Answer(Outcome.SOLD_OUT)
    lie = Call(
        index=-1,
        client=NEWCOMER,
        phase=0,
        operation=reserve(evidence),
        answer=answer,
        invoked=-2,
        completed=-1,
    )
    return replace(evidence, history=(lie, *evidence.history))


def sold_out_after_everybody_left(evidence: Evidence) -> Evidence:
    """More was left than anybody could have taken, and the last buyer was told that all was sold."""
    asked = sum(
        reserve.quantity
        for outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
        for _, reserve in evidence.reserves(outcome)
        if reserve.ticket == first(evidence)
    )
    assume(evidence.scenario.tickets[0].initial > asked)
    return told(evidence, reserve(evidence), Outcome.SOLD_OUT)


def first_of_all(evidence: Evidence, operation: Operation, answer: Answer) -> Evidence:
    """Add one more call before everything else."""
    call = Call(
        index=-1, client=NEWCOMER, phase=0, operation=operation, answer=answer, invoked=-2, completed=-1
    )
    return replace(evidence, history=(call, *evidence.history))


def read_what_never_was(evidence: Evidence) -> Evidence:
    """Somebody read that more remained than there ever was."""
    read = ReadAvailability(ticket=first(evidence), person=NEWCOMER)
    more = evidence.scenario.tickets[0].initial + 1
    return first_of_all(evidence, read, Answer(Outcome.ACCEPTED, remaining=more))


def duplicate_of_nothing(evidence: Evidence) -> Evidence:
    """Somebody who had nothing was told that they had it already."""
    return first_of_all(evidence, reserve(evidence), Answer(Outcome.DUPLICATE))


def sale_after_deadline(evidence: Evidence) -> Evidence:
    """The sale of one more ticket type had ended, and somebody bought one."""
    late = TicketType(name="late", initial=5, event="late", closed=True)
    scenario = replace(evidence.scenario, tickets=(*evidence.scenario.tickets, late))
    stock = Stock(ticket="late", initial=5, remaining=4, sold=1)
    books = replace(evidence.books, stock=(*evidence.books.stock, stock))
    evidence = replace(evidence, scenario=scenario, books=books)
    evidence = told(evidence, Reserve(ticket="late", person=NEWCOMER), Outcome.ACCEPTED, "new#1")
    return with_rows(evidence, Entry(ticket="late", person=NEWCOMER, reservation="new#1"))


def sale_after_deadline_mended(evidence: Evidence) -> Evidence:
    """The same, seen in one state on the way only."""
    late = sale_after_deadline(evidence)
    return replace(evidence, scenario=late.scenario, states=(*evidence.states, late.books))


def met(kind: IncidentKind) -> Callable[[Evidence], Evidence]:
    """Return a plant: an engine that watched the sessions saw somebody meet this."""

    def plant(evidence: Evidence) -> Evidence:
        incidents = (Incident(kind=kind, client=NEWCOMER),)
        return replace(evidence, incidents=(*(evidence.incidents or ()), *incidents))

    plant.__name__ = f"met_{kind.value}"
    return plant


# A new row takes stock that may not be there: then the plant oversells or drives a counter below zero
# as well. Where the plant says what else it breaks, anything more would be a false alarm.
STOCK = frozenset({"no_oversell", "never_negative"})
PLANTS = [
    Plant("no_oversell", one_sale_too_many),
    Plant("no_oversell", one_sale_too_many_on_the_way),
    Plant("no_oversell", sale_without_decrement),
    Plant("no_oversell", sales_seen_in_answers_only),
    Plant("no_oversell", double_credit),
    Plant("no_leak", lost_ticket),
    Plant("never_negative", counter_below_zero),
    Plant("never_negative", row_for_nothing),
    Plant("counters_agree_with_rows", counter_that_drifts, frozenset({"never_negative"})),
    Plant("accepted_in_books_once", second_row, STOCK | {"refused_not_in_books", "one_per_person"}),
    Plant(
        "accepted_in_books_once", second_row_without_ids, STOCK | {"refused_not_in_books", "one_per_person"}
    ),
    Plant("accepted_in_books_once", accepted_and_missing),
    Plant("accepted_in_books_once", accepted_and_missing_without_id),
    Plant("accepted_in_books_once", removed_by_refused_cancel),
    Plant("accepted_in_books_once", lost_after_rebooking),
    Plant("accepted_in_books_once", cancelled_and_standing, STOCK | {"refused_not_in_books"}),
    Plant("accepted_in_books_once", another_quantity, STOCK),
    Plant("accepted_in_books_once", one_id_for_two_people, STOCK),
    Plant(
        "refused_not_in_books",
        refused_and_standing(Outcome.SOLD_OUT),
        STOCK | {"no_refusal_while_stock_remained"},
    ),
    Plant("refused_not_in_books", refused_and_standing(Outcome.DUPLICATE), STOCK),
    Plant("refused_not_in_books", refused_and_standing(Outcome.INVALID), STOCK),
    Plant("refused_not_in_books", refused_and_standing(Outcome.RETRYABLE), STOCK),
    Plant("refused_not_in_books", never_asked, STOCK),
    Plant("refused_not_in_books", second_row, STOCK | {"accepted_in_books_once", "one_per_person"}),
    Plant("refused_not_in_books", cancelled_and_standing, STOCK | {"accepted_in_books_once"}),
    Plant("refused_not_in_books", bought_without_proof, STOCK),
    Plant("refused_not_in_books", bought_with_refused_proof, STOCK),
    Plant("refused_not_in_books", more_units_than_asked_for, STOCK),
    Plant("one_per_person", two_for_one_person, STOCK),
    Plant("one_per_person", two_ticket_types_for_one_person, STOCK),
    Plant("no_refusal_while_stock_remained", sold_out_before_anybody_came),
    Plant("no_refusal_while_stock_remained", sold_out_after_everybody_left),
    Plant("linearizable", read_what_never_was),
    Plant("linearizable", duplicate_of_nothing),
    Plant("nothing_after_deadline", sale_after_deadline),
    Plant("nothing_after_deadline", sale_after_deadline_mended),
    Plant("no_deadlock", met(IncidentKind.DEADLOCK)),
    Plant("answers", met(IncidentKind.STUCK)),
]


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_the_law_cries_whatever_it_is_planted_in(plant: Plant) -> None:
    """The law that forbids it cries, and no law cries that it does not break."""

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(evidence=evidences(ALL_SHOWN))
    def cries(evidence: Evidence) -> None:
        broken = {violation.law for violation in judge(plant.sow(evidence)).violations}
        assert plant.law in broken
        # No order explains what is wrong with a single answer or row either, where a search finds that out.
        assert broken - {"linearizable"} <= {plant.law} | plant.others

    cries()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(evidence=evidences(ALL_SHOWN))
def test_a_serialization_failure_is_trouble_that_breaks_no_law(evidence: Evidence) -> None:
    """Who is told to try again was neither deadlocked nor left without an answer."""
    assert judge(met(IncidentKind.SERIALIZATION)(evidence)).violations == ()


def test_every_law_has_something_planted_for_it() -> None:
    """A law that nothing here can break might as well not be there."""
    assert {plant.law for plant in PLANTS} == set(LAWS.entries)
