"""The stateful engine: what it finds, how small that gets, and what it says of targets that misbehave."""

from __future__ import annotations

import asyncio
import random
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.exploring.replaying import ReplayOutcome, replay_failure
from harness.model import Answer, Feature, Outcome, Verdict
from harness.model.events import CheckProgressed, FailureKept, Noticed
from harness.specimens import SPECIMENS
from harness.specimens._shop import Shop
from harness.specimens._statements import DUPLICATE, SOLD_OUT, Ticket, has_rsvp, insert_rsvp, take
from tests.driving.judging import judge_of, shipped

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from harness.model import Failure, Reserve
    from harness.postgres import Server

STATEFUL = ENGINES.get("stateful")


def unhurried(seed: int) -> Settings:
    """Return settings whose outcome does not depend on how busy the machine is."""
    return Settings(seed=seed, stateful_time=300, shrink_time=300)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_naive_race_is_found_and_as_small_as_can_be(
    seed: int, server: Server, tmp_path: Path
) -> None:
    """Two buyers, one ticket each, and one context switch that a lost update needs."""
    async with judge_of(server, SPECIMENS.get("check_then_decrement").target, tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(seed))
        failure = judge.heard.of(FailureKept)[-1].failure
    assert check.verdict is Verdict.VIOLATED
    assert "no_oversell" in {violation.law for violation in check.violations}
    assert [len(program.operations) for program in failure.scenario.programs()] == [1, 1]
    assert failure.preemptions == 1
    assert (failure.replayed, failure.reproduced) == (10, 10)
    assert failure.reproduction.startswith("@reproduce_failure(")
    assert {violation.replay for violation in check.violations if violation.law in failure.laws} == {
        failure.id
    }


async def test_a_kept_failure_can_be_replayed(server: Server, tmp_path: Path) -> None:
    """By itself, later, on another database."""
    target = SPECIMENS.get("check_then_decrement").target
    async with judge_of(server, target, tmp_path) as judge:
        await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1))
        failure: Failure = judge.heard.of(FailureKept)[-1].failure
    (replayed,) = await replay_failure(
        failure, target, database="embedded", folder=tmp_path, notice=lambda _: None
    )
    assert replayed.outcome is ReplayOutcome.STILL_FAILS


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["guarded_update", "for_update"])
async def test_right_ones_are_safe(name: str, seed: int, server: Server, tmp_path: Path) -> None:
    """Whatever is drawn, nothing is held against them, and there was something to be seen."""
    async with judge_of(server, SPECIMENS.get(name).target, tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(seed))
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert check.coverage["overlapping_steps"] > 0
    assert check.coverage["sold_out"] > 0


async def test_answers_that_the_scenario_is_about_need_not_be_drawn(server: Server, tmp_path: Path) -> None:
    """Its own programs would be sure to meet them; those that are drawn are measured by what they reached."""
    scenario = replace(shipped("last_ticket", 3), reaches=frozenset({Outcome.RETRYABLE}))
    async with judge_of(server, SPECIMENS.get("guarded_update").target, tmp_path) as judge:
        check = await judge.drive(scenario, STATEFUL, unhurried(1))
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())


async def test_the_same_seed_draws_the_same_and_fails_the_same(server: Server, tmp_path: Path) -> None:
    """Same programs, same counts, same failure."""
    found = []
    for _ in range(2):
        async with judge_of(server, SPECIMENS.get("check_then_decrement").target, tmp_path) as judge:
            check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(5))
            failure = judge.heard.of(FailureKept)[-1].failure
        found.append((check.runs, check.coverage, failure.id, failure.scenario, failure.reproduction))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "scenario", "law"),
    [
        ("compensating", "same_person_twice", "one_per_person"),
        ("cancel_twice", "cancel_races_reserve", "no_oversell"),
        ("negative_quantity", "odd_quantities", "never_negative"),
        ("count_then_insert", "last_ticket", "no_oversell"),
    ],
)
async def test_known_mistakes_are_found_in_their_scenarios(
    name: str, scenario: str, law: str, server: Server, tmp_path: Path
) -> None:
    """Each in a failure of few operations that breaks the law again whenever it is run."""
    async with judge_of(server, SPECIMENS.get(name).target, tmp_path) as judge:
        check = await judge.drive(shipped(scenario, 3), STATEFUL, unhurried(1))
        failure = judge.heard.of(FailureKept)[-1].failure
    assert check.verdict is Verdict.VIOLATED
    assert law in {violation.law for violation in check.violations}
    assert failure.preemptions <= 2
    assert sum(len(program.operations) for program in failure.scenario.programs()) <= 4
    assert failure.reproduced == 10


class OnlyOnce(Shop):
    """Sells what is not there the first time somebody asks for it, and never again."""

    name = "only_once"

    def __init__(self) -> None:
        self.lies = 1

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        answer = await take_or_refuse(db, ticket, operation)
        if answer.outcome is Outcome.SOLD_OUT and self.lies:
            self.lies -= 1
            return await insert_rsvp(db, ticket, operation)
        return answer


class Moody(Shop):
    """Right, and refuses every now and then for no reason that anybody could know beforehand."""

    name = "moody"

    def __init__(self) -> None:
        self.luck = random.Random(1)  # noqa: S311  # repeatable, not secret

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        if self.luck.random() < 0.3:
            return Answer(Outcome.RETRYABLE)
        return await take_or_refuse(db, ticket, operation)


class Hiccup(Shop):
    """Right, and refuses once when it has been asked that often."""

    name = "hiccup"

    def __init__(self, after: int) -> None:
        self.left = after

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        self.left -= 1
        if not self.left:
            return Answer(Outcome.RETRYABLE)
        return await take_or_refuse(db, ticket, operation)


class Counting(Hiccup):
    """Never refuses, and counts how often it was asked."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__(after=0)


class Babbling(Shop):
    """Answers in a shape of its own."""

    name = "babbling"

    async def reserve(self, *_: object) -> Answer:
        return "certainly!"  # type: ignore[return-value]  # what a stranger's target may do


class Boasting(Shop):
    """Sells as it should, and says that one more remains than does."""

    name = "boasting"

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        return await take_or_refuse(db, ticket, operation)

    async def availability(self, db: asyncpg.Connection, ticket: Ticket) -> Answer:
        told = await super().availability(db, ticket)
        return replace(told, remaining=(told.remaining or 0) + 1)


class OnlyReserves(Shop):
    """Supports nothing but buying."""

    name = "only_reserves"
    supports = frozenset({Feature.RESERVE})

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        return await take_or_refuse(db, ticket, operation)


async def take_or_refuse(db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
    """Buy as one should, in one transaction under a lock of the event."""
    async with db.transaction():
        await db.execute("SELECT pg_advisory_xact_lock($1)", ticket.event_id)
        left = await db.fetchval("SELECT quantity_available FROM tickets WHERE id = $1", ticket.id)
        if await has_rsvp(db, ticket, operation):
            return DUPLICATE
        if left < operation.quantity:
            return SOLD_OUT
        await take(db, ticket, operation)
        return await insert_rsvp(db, ticket, operation)


async def test_what_was_seen_once_is_a_violation_that_cannot_be_reproduced(
    server: Server, tmp_path: Path
) -> None:
    """It was seen, whatever the target does later; and that it does not happen again is said."""
    async with judge_of(server, OnlyOnce(), tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1))
    assert check.verdict is Verdict.VIOLATED
    assert all(kept.failure.reproduced == 0 for kept in judge.heard.of(FailureKept))
    assert any("cannot be reproduced" in notice.message for notice in judge.heard.of(Noticed))


async def test_a_target_of_moods_is_inconclusive(server: Server, tmp_path: Path) -> None:
    """It did not break a law, and what it does next time is anybody's guess."""
    async with judge_of(server, Moody(), tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert any("does not do the same when it is run again" in reason for reason in check.reasons)


async def test_one_accident_is_no_mood(server: Server, tmp_path: Path) -> None:
    """Refused once while examples are walked again, of which the others are all alike."""
    counting = Counting()
    async with judge_of(server, counting, tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1))
    assert check.verdict is Verdict.SAFE
    # Some of the last calls are walked again to see whether the target does the same.
    async with judge_of(server, Hiccup(after=-counting.left), tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1))
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())


async def test_the_tour_alone_sees_what_a_pass_needs(server: Server, tmp_path: Path) -> None:
    """However busy the machine: every operation accepted, stock that runs out, and an overlap."""
    hurried = Settings(seed=1, stateful_time=1e-6)
    async with judge_of(server, SPECIMENS.get("guarded_update").target, tmp_path) as judge:
        check = await judge.drive(shipped("anything", 3), STATEFUL, hurried)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert (check.runs, check.coverage["examples_left_out"]) == (2, 38)


async def test_drawing_leaves_the_time_of_others_alone(server: Server, tmp_path: Path) -> None:
    """Where something was never reached it goes on, and not beyond the time that falls to the check."""
    brief = Settings(seed=1, stateful_time=300, share=1e-6)
    async with judge_of(server, Babbling(), tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, brief)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.runs == 2


async def test_what_only_the_tour_can_see_is_made_small_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is drawn shows it, and yet no step is left that the failure does not need."""
    monkeypatch.setattr("harness.drawing.search.run_state_machine_as_test", lambda *_, **__: None)
    async with judge_of(server, Boasting(), tmp_path) as judge:
        check = await judge.drive(shipped("anything", 3), STATEFUL, unhurried(1))
        failure = judge.heard.of(FailureKept)[-1].failure
    assert check.verdict is Verdict.VIOLATED
    assert sum(len(program.operations) for program in failure.scenario.programs()) == 1
    assert failure.reproduced == 10


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_the_tour_has_seen_is_drawn_again(seed: int, server: Server, tmp_path: Path) -> None:
    """So that Hypothesis can make it small, and says how it is drawn."""
    async with judge_of(server, Boasting(), tmp_path) as judge:
        check = await judge.drive(shipped("anything", 3), STATEFUL, unhurried(seed))
        failure = judge.heard.of(FailureKept)[-1].failure
    assert check.verdict is Verdict.VIOLATED
    assert check.runs == 1
    assert sum(len(program.operations) for program in failure.scenario.programs()) == 1
    assert failure.reproduction.startswith("@reproduce_failure(")
    assert failure.reproduced == 10


async def test_answers_in_a_shape_of_its_own_are_inconclusive(server: Server, tmp_path: Path) -> None:
    """Nothing was ever accepted, and no example of that is a failure."""
    async with judge_of(server, Babbling(), tmp_path) as judge:
        check = await judge.drive(shipped("last_ticket", 3), STATEFUL, Settings(seed=1, stateful_time=1))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert any("no operation succeeded" in reason for reason in check.reasons)


async def test_a_target_that_only_sells_is_driven_through_what_there_is(
    server: Server, tmp_path: Path
) -> None:
    """A free scenario asks it for nothing it never said it supports."""
    async with judge_of(server, OnlyReserves(), tmp_path) as judge:
        check = await judge.drive(shipped("anything", 3), STATEFUL, unhurried(1))
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert {name for name in check.coverage if name.endswith("_accepted")} == {"reserve_accepted"}


async def test_being_stopped_leaves_nothing_running(server: Server, tmp_path: Path) -> None:
    """A cancellation in the middle of drawing ends Hypothesis' thread too."""
    async with judge_of(server, OnlyReserves(), tmp_path) as judge:
        drawing = asyncio.create_task(judge.drive(shipped("last_ticket", 3), STATEFUL, unhurried(1)))
        await asyncio.wait_for(judge.heard.hear(CheckProgressed), 60)
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
    assert not [thread for thread in threading.enumerate() if thread.name == "hypothesis"]
