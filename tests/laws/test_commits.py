"""Which commit broke a law, where every commit is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from harness.laws import judge
from harness.model import (
    Answer,
    Books,
    Call,
    ChangeCapacity,
    Commit,
    Entry,
    Evidence,
    JoinWaitlist,
    Operation,
    Outcome,
    Phase,
    Program,
    Reserve,
    ReserveGroup,
    Scenario,
    Stock,
    TicketType,
)

GENERAL = TicketType(name="general", initial=3)
ADA, BEN, CLEO, DAN = (Entry(ticket="general", person=who) for who in ("ada", "ben", "cleo", "dan"))


def books(*rows: Entry, remaining: int, waiting: tuple[Entry, ...] | None = None, initial: int = 3) -> Books:
    return Books(
        stock=(Stock(ticket="general", initial=initial, remaining=remaining),), entries=rows, waiting=waiting
    )


@dataclass(frozen=True)
class Case:
    """Committed states in their order; the law is first broken in the second one, and worst in the last."""

    law: str
    states: tuple[Books, Books, Books]
    ticket: TicketType = GENERAL
    calls: tuple[Operation, ...] = ()


CASES = [
    Case(
        "no_oversell",
        (books(ADA, remaining=2), books(ADA, BEN, remaining=2), books(ADA, BEN, CLEO, DAN, remaining=2)),
    ),
    Case(
        "never_negative",
        (books(ADA, remaining=0), books(ADA, remaining=-1), books(ADA, remaining=-2)),
    ),
    Case(
        "one_per_person",
        (books(ADA, remaining=2), books(ADA, ADA, remaining=1), books(ADA, ADA, BEN, BEN, remaining=0)),
    ),
    Case(
        "capacity_covers_sold",
        (
            books(ADA, BEN, remaining=1),
            books(ADA, BEN, remaining=0, initial=1),
            books(ADA, BEN, CLEO, remaining=0, initial=1),
        ),
        calls=(ChangeCapacity(ticket="general", person="organizer", capacity=1),),
    ),
    Case(
        "nothing_after_deadline",
        (books(remaining=3), books(ADA, remaining=2), books(ADA, BEN, remaining=1)),
        ticket=replace(GENERAL, closed=True),
    ),
    Case(
        "waitlist_in_order",
        (
            books(ADA, remaining=0, waiting=(BEN, CLEO)),
            books(ADA, CLEO, remaining=0, waiting=(BEN,)),
            books(ADA, CLEO, DAN, remaining=0, waiting=(BEN,)),
        ),
        calls=tuple(JoinWaitlist(ticket="general", person=who) for who in ("ben", "cleo", "dan")),
    ),
    Case(
        "groups_all_or_nothing",
        (books(remaining=3), books(ADA, remaining=2), books(ADA, BEN, remaining=1)),
        calls=(ReserveGroup(ticket="general", person="ada", members=("ada", "ben", "cleo")),),
    ),
]


def evidence(case: Case, final: Books) -> Evidence:
    """What a run left that went through the states of a case."""
    numbered = [replace(state, commit=Commit(at, 10 * at)) for at, state in enumerate(case.states)]
    program = Program("somebody", case.calls or (Reserve(ticket="general", person="ada"),))
    return Evidence(
        scenario=Scenario(tickets=(case.ticket,), phases=(Phase("all", (program,)),)),
        history=tuple(
            Call(
                index=index,
                client="somebody",
                phase=0,
                operation=operation,
                answer=Answer(Outcome.ACCEPTED),
                invoked=2 * index,
                completed=2 * index + 1,
            )
            for index, operation in enumerate(case.calls)
        ),
        books=final,
        states=tuple(numbered),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.law)
def test_the_first_commit_after_which_a_law_was_broken_is_named(case: Case) -> None:
    """Not the one of the worst state, nor the last: whether what is wrong stayed, or was mended."""
    for final in (case.states[2], case.states[0]):
        (violation,) = judge(evidence(case, final), [case.law]).violations
        assert violation.commit == Commit(1, 10)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.law)
def test_where_no_commit_is_known_none_is_named(case: Case) -> None:
    """As where states were sampled."""
    found = evidence(case, case.states[2])
    (violation,) = judge(replace(found, states=case.states), [case.law]).violations
    assert violation.commit is None
