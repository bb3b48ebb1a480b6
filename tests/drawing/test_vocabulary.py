"""What can be drawn for a scenario, and what a drawn schedule means. All of it pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.drawing.coverage import doubts, nothing_reached
from harness.drawing.switches import Switch, SwitchChooser
from harness.drawing.vocabulary import vocabulary_of
from harness.model import Feature, Outcome, Reserve, ReserveGroup
from harness.model.operations import FEATURE_OF, kind_name
from harness.model.sequential import opening
from tests.driving.judging import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERYTHING = frozenset(Feature)
SCENARIOS = ["last_ticket", "anything", "holds_race", "waitlist_promotion", "groups", "capacity_lowered"]


def order(switches: Sequence[Switch], steps: dict[str, int]) -> str:
    """Return who goes, by the first letter, when nobody ever waits."""
    left = dict(steps)
    chooser = SwitchChooser(list(steps), switches)
    gone = ""
    while able := frozenset(client for client, more in left.items() if more):
        chosen = chooser(able, frozenset(), ())
        assert chosen in able
        left[str(chosen)] -= 1
        gone += str(chosen)
    return gone


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ((), "aaaabbbbcc"),
        ((Switch(1, 0),), "abbbbaaacc"),
        ((Switch(2, 1),), "aaccaabbbb"),
        ((Switch(2, 0), Switch(1, 0)), "aabaabbbcc"),
        ((Switch(9, 0),), "aaaabbbbcc"),
    ],
)
def test_a_schedule_is_its_context_switches(switches: Sequence[Switch], expected: str) -> None:
    """Without any each program runs to its end; who is left goes on once the other is done."""
    assert order(switches, {"a": 4, "b": 4, "c": 2}) == expected


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_stock_runs_out_with_the_second_or_third_buyer(name: str) -> None:
    """However large the scenario's own is."""
    vocabulary = vocabulary_of(shipped(name), EVERYTHING)
    most = max((*vocabulary.quantities, 2))
    assert all(ticket.initial <= most + 1 for ticket in vocabulary.tickets)
    # Groups of three leave one of four units that nobody wants.
    assert vocabulary.can_sell_out == (name != "groups")


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_race_at_the_end_of_the_tour_has_one_winner(name: str) -> None:
    """Both could have what they want, and both cannot."""
    vocabulary = vocabulary_of(shipped(name), EVERYTHING)
    before, rivals = vocabulary.race()
    state = opening(vocabulary.tickets)
    for operation in before:
        state, answer = state.apply(operation)
        assert answer.outcome is Outcome.ACCEPTED
    assert rivals[0].person != rivals[1].person
    for first, second in (rivals, rivals[::-1]):
        after, answer = state.apply(first)
        assert answer.outcome is Outcome.ACCEPTED
        assert after.apply(second)[1].outcome is Outcome.SOLD_OUT


def test_where_duplicates_are_the_question_there_is_enough_for_everybody() -> None:
    """A group that names somebody again is told so, rather than that there is not enough."""
    vocabulary = vocabulary_of(shipped("friend_in_two_groups"), EVERYTHING)
    state, _ = opening(vocabulary.tickets).apply(
        ReserveGroup(ticket="general", person="ada", members=("ada", "ben", "cleo"))
    )
    again = ReserveGroup(ticket="general", person="dan", members=("dan", "ada", "ben"))
    assert state.apply(again)[1].outcome is Outcome.DUPLICATE
    assert not vocabulary.can_sell_out


def test_a_scenario_keeps_to_its_own_kinds_unless_it_is_free() -> None:
    """A free one is opened to everything that the target supports, and to nothing else."""
    assert vocabulary_of(shipped("last_ticket"), EVERYTHING).kinds == (Reserve,)
    assert vocabulary_of(shipped("anything"), EVERYTHING).kinds == tuple(FEATURE_OF)
    assert vocabulary_of(shipped("anything"), frozenset({Feature.RESERVE})).kinds == (Reserve,)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_tours_use_every_kind_and_a_right_system_accepts_them(name: str) -> None:
    """So what is never accepted is the target's doing."""
    vocabulary = vocabulary_of(shipped(name), EVERYTHING)
    used = set()
    for tour in vocabulary.tours():
        state = opening(vocabulary.tickets)
        for operation in tour:
            state, answer = state.apply(operation)
            assert answer.outcome is Outcome.ACCEPTED, operation
            used.add(type(operation))
    assert used == set(vocabulary.kinds)


def test_what_was_never_reached_makes_a_pass_worthless() -> None:
    """Stock that never ran out, and every kind of operation that was never accepted, by its name."""
    vocabulary = vocabulary_of(shipped("cancel_and_resell"), EVERYTHING)
    coverage = nothing_reached(vocabulary)
    never, unused = doubts(coverage, vocabulary)
    assert never.startswith("stock never ran out")
    assert unused.endswith(": reserve, cancel")
    coverage.update({"sold_out": 1, **{f"{kind_name(kind)}_accepted": 1 for kind in vocabulary.kinds}})
    assert list(doubts(coverage, vocabulary)) == []
