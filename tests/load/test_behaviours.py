"""Behaviours, tried without Locust and without HTTP: the sequential specification answers them."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.load.behaviour import BEHAVIOURS, ONLY_BY_NAME, Behaviour, Visit, behaviours_for, weights_of
from harness.model import (
    Answer,
    Cancel,
    Confirm,
    Feature,
    Hold,
    JoinWaitlist,
    LeaveWaitlist,
    Outcome,
    ReadAvailability,
    Release,
    Reserve,
    ReserveGroup,
    TicketType,
)
from harness.model.naming import Named
from harness.model.operations import features_of
from harness.model.sequential import State, opening

if TYPE_CHECKING:
    from harness.model import Operation

_LINE = {"rush", "buy_and_cancel", "friend_in_line", "waiting_list"}
EVERYTHING = frozenset(Feature)
BY_NAME = sorted(BEHAVIOURS.entries)


def luck(seed: int) -> Random:
    """Return luck that is the same each time."""
    return Random(seed)  # noqa: S311  # for choosing, not for secrets


class Crowd:
    """Many who visit one shop, one after the other."""

    def __init__(self, behaviour: str, stock: int) -> None:
        self.behaviour: Behaviour = BEHAVIOURS.get(behaviour)
        self.state: State = opening([TicketType(name="general", initial=stock)])
        self.did: list[tuple[Operation, Answer]] = []
        self.most_at_once = 0
        self.people: list[str] = []

    def come(self, number: int) -> Crowd:
        """Let so many come."""
        for each in range(number):
            person = f"0-{each}"
            self.people.append(person)
            self._visit(Visit(ticket="general", person=person, luck=luck(each)))
        return self

    def outcomes(self, kind: type[Operation]) -> Counter[Outcome]:
        """Return how often what came of one kind of operation."""
        return Counter(answer.outcome for operation, answer in self.did if isinstance(operation, kind))

    def _visit(self, visit: Visit) -> None:
        steps, named = self.behaviour.visit(visit), Named()
        sent: object = None
        while True:
            try:
                step = steps.send(sent)
            except StopIteration:
                return
            if isinstance(step, tuple):
                self.most_at_once = max(self.most_at_once, len(step))
                sent = tuple(self._do(each, named) for each in step)
            else:
                sent = self._do(step, named)

    def _do(self, operation: Operation, named: Named) -> Answer:
        operation = named.filled_in(operation)
        self.state, answer = self.state.apply(operation)
        named.remember(operation, answer)
        self.did.append((operation, answer))
        return answer


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_needs_what_it_uses(name: str) -> None:
    """No operation asks a target for more than the behaviour needs, and nothing is needed in vain."""
    crowd = Crowd(name, 20).come(200)
    used = frozenset().union(*(features_of(operation) for operation, _ in crowd.did))
    assert used == crowd.behaviour.needs


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_sells_out_and_goes_on(name: str) -> None:
    """Some are served, some are told that there is nothing left, and the books stay right."""
    crowd = Crowd(name, 20).come(200)
    seen = Counter(answer.outcome for _, answer in crowd.did)
    assert seen[Outcome.ACCEPTED]
    assert seen[Outcome.SOLD_OUT]
    (stock,) = crowd.state.books().stock
    assert stock.initial == 20
    assert (stock.sold or 0) + (stock.held or 0) + (stock.remaining or 0) == 20


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_acts_under_names_of_its_own(name: str) -> None:
    """Whoever acts or is acted for is the visitor, or somebody called after them."""
    crowd = Crowd(name, 5).come(50)
    for operation, _ in crowd.did:
        members = operation.members if isinstance(operation, ReserveGroup) else ()
        for person in (operation.person, *members):
            assert person.split(".")[0] in crowd.people


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_depends_on_luck_alone(name: str) -> None:
    """Equal seeds make equal visits, so that a load can be made again."""
    assert Crowd(name, 5).come(50).did == Crowd(name, 5).come(50).did


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_takes_any_answer(name: str) -> None:
    """Whatever is answered, a visit ends, and soon."""
    for outcome in Outcome:
        steps = BEHAVIOURS.get(name).visit(Visit(ticket="t", person="p", luck=luck(1)))
        sent: object = None
        for _ in range(10):
            try:
                step = steps.send(sent)
            except StopIteration:
                break
            answer = Answer(outcome)
            sent = (answer,) * len(step) if isinstance(step, tuple) else answer
        else:
            pytest.fail(f"it did not end after ten answers {outcome}")


@pytest.mark.parametrize("name", BY_NAME)
def test_a_behaviour_has_a_page(name: str) -> None:
    """Its docstring says what it does, and its file has its name."""
    behaviour = BEHAVIOURS.get(name)
    assert behaviour.doc.strip().endswith((".", "``"))
    assert behaviour.visit.__module__.endswith(f".{name}")


def test_a_plain_rush_has_only_those_who_press_once() -> None:
    """What a scenario does not need is left out, above all those who press twice."""
    assert behaviours_for(frozenset({Feature.RESERVE}), EVERYTHING) == {"rush": 1}
    assert BEHAVIOURS.get("impatient").fits == ONLY_BY_NAME


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({Feature.RESERVE, Feature.CANCEL}, {"rush", "buy_and_cancel"}),
        ({Feature.RESERVE, Feature.AVAILABILITY}, {"rush", "browse_then_buy"}),
        ({Feature.HOLD}, {"hold_and_confirm"}),
        ({Feature.RESERVE, Feature.GROUP}, {"rush", "group"}),
        ({Feature.RESERVE, Feature.CANCEL, Feature.WAITLIST}, _LINE),
    ],
)
def test_a_scenario_has_the_behaviours_it_is_about(needs: set[Feature], expected: set[str]) -> None:
    """By what it needs, as far as the target can do it."""
    assert set(behaviours_for(frozenset(needs), EVERYTHING)) == expected
    assert set(behaviours_for(frozenset(needs), frozenset({Feature.RESERVE}))) <= {"rush"}


def test_those_who_press_twice_are_served_once() -> None:
    """Both at the same moment; the specification gives one ticket and one refusal."""
    crowd = Crowd("impatient", 5).come(5)
    assert crowd.most_at_once == 2
    assert crowd.outcomes(Reserve) == {Outcome.ACCEPTED: 5, Outcome.DUPLICATE: 5}


def test_those_who_cancel_give_back_what_they_were_given() -> None:
    """Every cancel names the reservation, and is accepted."""
    crowd = Crowd("buy_and_cancel", 5).come(100)
    assert set(crowd.outcomes(Cancel)) == {Outcome.ACCEPTED}
    assert all(operation.reservation for operation, _ in crowd.did if isinstance(operation, Cancel))


def test_those_who_hold_confirm_release_or_try_both() -> None:
    """All three happen, and of confirm and release together only one is accepted."""
    crowd = Crowd("hold_and_confirm", 500).come(200)
    assert crowd.most_at_once == 2
    assert crowd.outcomes(Hold) == {Outcome.ACCEPTED: 200}
    ended = crowd.outcomes(Confirm)[Outcome.ACCEPTED] + crowd.outcomes(Release)[Outcome.ACCEPTED]
    assert ended == 200
    assert crowd.outcomes(Release)[Outcome.ACCEPTED] > 20
    assert crowd.state.held == frozenset()


def test_those_who_wait_join_only_what_is_sold_out() -> None:
    """Every place in the line is accepted, and some are given up."""
    crowd = Crowd("waiting_list", 5).come(100)
    assert crowd.outcomes(JoinWaitlist) == {Outcome.ACCEPTED: 95}
    assert 10 < crowd.outcomes(LeaveWaitlist)[Outcome.ACCEPTED] < 60


def test_friends_in_line_are_served_by_those_who_give_back() -> None:
    """Who got the last unit passes it on, in two steps or at one moment; so the line moves in every sale."""
    at_once = set()
    for stock in range(1, 40):
        crowd = Crowd("friend_in_line", stock).come(60)
        waited = [operation.person for operation, _ in crowd.did if isinstance(operation, JoinWaitlist)]
        if waited:
            assert crowd.outcomes(JoinWaitlist) == crowd.outcomes(Cancel) == {Outcome.ACCEPTED: 1}
            assert waited[0] in {entry.person for entry in crowd.state.standing}
            at_once.add(crowd.most_at_once)
    assert at_once == {0, 2}


def test_groups_come_in_several_sizes() -> None:
    """From two to four, each member once."""
    crowd = Crowd("group", 500).come(100)
    groups = [operation.members for operation, _ in crowd.did if isinstance(operation, ReserveGroup)]
    assert {len(members) for members in groups} == {2, 3, 4}
    assert all(len(set(members)) == len(members) for members in groups)


def test_those_who_look_first_do_not_all_believe_it() -> None:
    """Once nothing is left, some try all the same and some go away."""
    crowd = Crowd("browse_then_buy", 0).come(100)
    assert crowd.outcomes(ReadAvailability) == {Outcome.ACCEPTED: 100}
    assert 20 < crowd.outcomes(Reserve)[Outcome.SOLD_OUT] < 80


def test_behaviours_are_named_with_their_weights() -> None:
    """Spaces do not matter, and no weight is a weight of one."""
    assert weights_of(["rush", " impatient = 3 "], "--behaviour") == {"rush": 1, "impatient": 3}


@pytest.mark.parametrize("words", [["rush=0"], ["rush=00"], ["rush="], ["rush=-1"], ["rush=x"], ["rush"] * 2])
def test_what_is_no_weight_is_refused(words: list[str]) -> None:
    """In the words of whoever asked; no load has nothing but behaviours that weigh nothing."""
    with pytest.raises(UsageError, match=r"--behaviour.*rush=2"):
        weights_of(words, "--behaviour")
