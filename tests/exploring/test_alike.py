"""Which clients of a phase may be taken for one another."""

from __future__ import annotations

import pytest

from harness.exploring.exploration import alike
from harness.model import Cancel, Operation, Phase, Program, Reserve, ReserveGroup, Scenario, TicketType


def groups(*programs: tuple[Operation, ...]) -> list[list[str]]:
    """The groups of clients a, b, c that run these programs at once."""
    phase = Phase("race", tuple(Program(name, each) for name, each in zip("abc", programs, strict=False)))
    return alike(Scenario(tickets=(TicketType(name="t", initial=1),), phases=(phase,)), phase)


def buy(person: str) -> Reserve:
    return Reserve(ticket="t", person=person)


def test_strangers_who_do_the_same_are_alike() -> None:
    """Who is who does not matter where each appears once."""
    assert groups((buy("ada"),), (buy("ben"),)) == [["a", "b"]]


def test_one_person_in_two_programs_is_an_individual() -> None:
    """Two tabs of one are not two strangers."""
    assert groups((buy("ada"),), (buy("ada"),), (buy("ben"),)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    "other",
    [
        ReserveGroup(ticket="t", person="organizer", members=("ada", "cleo")),
        Cancel(ticket="t", person="eve", whose="ada"),
    ],
)
def test_who_is_named_by_somebody_else_is_an_individual(other: Operation) -> None:
    """A member of a group, or the owner of what a stranger cancels, is not like everybody."""
    assert groups((buy("ada"),), (buy("ben"),), (other,)) == [["a"], ["b"], ["c"]]
