"""The harness judged on implementations whose verdict is known, and on right ones broken on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.catalogue import Catalogue
from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.errors import UsageError
from harness.laws import LAWS
from harness.model import Feature, Reserve, Verdict
from harness.specimens import SPECIMENS
from harness.specimens.atomic import Atomic
from harness.specimens.for_update import ForUpdate
from harness.targets import resolve
from tests.driving.judging import judge_of, shipped
from tests.scenarios.test_shipped import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from harness.model import Answer, Check
    from harness.postgres import Server
    from harness.specimens._statements import Ticket

REPEATS = 20
EXPLORE = ENGINES.get("explore")
BURST = ENGINES.get("burst")
NOT_EXHAUSTED = {
    "deferred_trigger": "its commit is also where it looks and waits",
    "job_queue": "everybody may do everybody's job: thousands of orders",
    "queue_per_ticket": "requests wait in the process",
}
"""Right specimens that no search calls exhausted, or not in time, and why; their pages say it."""
WRONG = [name for name, specimen in SPECIMENS.entries.items() if specimen.mistake]
RIGHT = [name for name, specimen in SPECIMENS.entries.items() if not specimen.mistake]
BY_FAULT = {"compensates_lost_answer", "lock_with_time_out", "retry_without_key"}
"""Wrong specimens that only a fault can show: a lost answer, or a process that pauses."""


def laws_broken(check: Check) -> set[str]:
    """Return the laws that a check found broken."""
    return {violation.law for violation in check.violations}


def test_there_are_the_specimens_of_the_story() -> None:
    """Three ways to get it wrong, two to get it right, and many more; each file is named as its target."""
    assert {"naive", "check_then_decrement", "compensating"} <= set(WRONG)
    assert {"for_update", "atomic"} <= set(RIGHT)
    assert (len(WRONG) >= 30, len(RIGHT) >= 12) == (True, True)
    assert all(specimen.target.name == name for name, specimen in SPECIMENS.entries.items())
    assert all(len(specimen.title) > 20 for specimen in SPECIMENS.entries.values())


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_says_which_law_where_and_from_where(name: str) -> None:
    """What a wrong specimen claims can be looked up, and its engine can drive it through its scenario."""
    specimen = SPECIMENS.get(name)
    assert specimen.mistake is not None
    assert specimen.mistake.laws
    assert specimen.mistake.laws <= set(LAWS.entries)
    assert specimen.mistake.source
    scenario = shipped(specimen.mistake.scenario)
    assert scenario.name == specimen.mistake.scenario
    assert scenario.needs <= specimen.target.supports
    assert (specimen.mistake.engine == "faults") is (name in BY_FAULT)
    assert ENGINES.get(specimen.mistake.engine).refuses(scenario, specimen.target) is None


@pytest.mark.parametrize("name", [name for name in WRONG if name not in BY_FAULT])
async def test_a_mistake_is_what_it_says(name: str, server: Server, tmp_path: Path) -> None:
    """The scenario and the engine that a wrong specimen names show every law that it names broken."""
    specimen = SPECIMENS.get(name)
    assert specimen.mistake is not None
    engine = ENGINES.get(specimen.mistake.engine)
    scenario = shipped(specimen.mistake.scenario, engine.crowd(Settings()))
    async with judge_of(server, specimen.target, tmp_path) as judge:
        check = await judge.check(scenario, rounds=10, schedules=100, engine=engine)
    assert check.verdict is Verdict.VIOLATED
    assert specimen.mistake.laws <= laws_broken(check)
    assert check.outcomes["accepted"]


@pytest.mark.parametrize("name", sorted(BY_FAULT))
async def test_a_fault_shows_what_only_a_fault_can(name: str, server: Server, tmp_path: Path) -> None:
    """Every law that such a specimen names is seen broken, and nothing is where nothing is broken."""
    specimen = SPECIMENS.get(name)
    assert specimen.mistake is not None
    engine = ENGINES.get("faults")
    settings = Settings(fault_pairs=0, until=tuple(specimen.mistake.laws))
    async with judge_of(server, specimen.target, tmp_path) as judge:
        check = await judge.drive(shipped(specimen.mistake.scenario, 2), engine, settings)
    assert specimen.mistake.laws <= laws_broken(check)
    assert check.faults is not None, "the clean run broke nothing"
    assert all(violation.run > 1 for violation in check.violations)


@pytest.mark.parametrize("name", RIGHT)
async def test_no_order_of_two_buyers_breaks_a_right_one(name: str, server: Server, tmp_path: Path) -> None:
    """Every order of two buyers of the last ticket is run, and every one is right."""
    async with judge_of(server, SPECIMENS.get(name).target, tmp_path) as judge:
        limit = 3 if name in NOT_EXHAUSTED else 400
        check = await judge.check(shipped("last_ticket", 2), engine=EXPLORE, schedules=limit)
    assert (check.verdict, check.reasons, check.violations) == (Verdict.SAFE, (), ())
    assert check.exhausted is (name not in NOT_EXHAUSTED)
    assert "exhausted" in SPECIMENS.get(name).doc or name not in NOT_EXHAUSTED


@pytest.mark.parametrize("name", RIGHT)
async def test_a_right_one_is_never_accused(name: str, server: Server, tmp_path: Path) -> None:
    """No crowd makes a right specimen break a law, in any scenario that it can serve."""
    target = SPECIMENS.get(name).target
    scenarios = [shipped(scenario, 5) for scenario in SHIPPED]
    served = [scenario for scenario in scenarios if scenario.needs <= target.supports]
    assert len(served) >= 10
    async with judge_of(server, target, tmp_path) as judge:
        checks = [await judge.check(scenario, rounds=1, engine=BURST) for scenario in served]
    accused = {check.scenario: check.violations for check in checks if check.violations}
    doubted = {check.scenario: check.reasons for check in checks if check.verdict is not Verdict.SAFE}
    assert (accused, doubted) == ({}, {})


@pytest.mark.parametrize("name", RIGHT)
async def test_a_right_one_is_not_accused_by_the_explorer(name: str, server: Server, tmp_path: Path) -> None:
    """Nor do chosen orders of cancels, second tries and other people's purchases."""
    async with judge_of(server, SPECIMENS.get(name).target, tmp_path) as judge:
        checks = [
            await judge.check(shipped(scenario, 2), engine=EXPLORE, schedules=4)
            for scenario in ("cancel_races_reserve", "several_ticket_types")
        ]
    assert [(check.verdict, check.violations) for check in checks] == [(Verdict.SAFE, ())] * 2


async def test_a_lost_update_is_found_every_time(server: Server, tmp_path: Path) -> None:
    """20 repeats of check_then_decrement under the burst are violated 20 times."""
    async with judge_of(server, SPECIMENS.get("check_then_decrement").target, tmp_path) as judge:
        checks = [await judge.check(shipped("rush", 6), rounds=2, seed=seed) for seed in range(REPEATS)]
    assert [check.verdict for check in checks] == [Verdict.VIOLATED] * REPEATS
    assert all("no_oversell" in laws_broken(check) for check in checks)


@pytest.mark.parametrize("name", ["for_update", "atomic"])
async def test_a_right_one_is_safe_every_time(name: str, server: Server, tmp_path: Path) -> None:
    """20 repeats of a right specimen under the burst are safe 20 times, and not for want of a race."""
    async with judge_of(server, SPECIMENS.get(name).target, tmp_path) as judge:
        checks = [await judge.check(shipped("rush", 6), rounds=2, seed=seed) for seed in range(REPEATS)]
    assert [(check.verdict, check.reasons) for check in checks] == [(Verdict.SAFE, ())] * REPEATS
    assert all(check.overlapping > 1 and check.outcomes["sold_out"] for check in checks)


async def test_naive_needs_no_race(server: Server, tmp_path: Path) -> None:
    """Its counter never moves, so whoever comes gets in: every run of a rush is a hit."""
    async with judge_of(server, SPECIMENS.get("naive").target, tmp_path) as judge:
        check = await judge.check(shipped("rush"), rounds=3)
    assert (check.runs, check.hits) == (3, 3)
    (oversold,) = [violation for violation in check.violations if violation.law == "no_oversell"]
    assert (oversold.initial, oversold.sold, oversold.remaining) == (10, 20, 10)
    assert len(oversold.buyers) == 20


async def test_the_published_fix_leaks_when_clients_go_away(server: Server, tmp_path: Path) -> None:
    """Whenever a law is broken by clients that go away, it is the unit taken and never written down."""
    async with judge_of(server, SPECIMENS.get("compensating").target, tmp_path) as judge:
        check = await judge.check(shipped("client_disconnects"), rounds=10)
    # Whether somebody leaves between decrement and insert is luck; that nothing else breaks is not.
    assert laws_broken(check) <= {"no_leak"}
    assert check.verdict in (Verdict.VIOLATED, Verdict.SAFE)
    assert (check.verdict is Verdict.VIOLATED) == bool(check.violations)


class Rewriting:
    """A database connection that leaves something out of the statements that pass through it."""

    def __init__(self, db: asyncpg.Connection, without: str) -> None:
        self._db, self._without = db, without
        self.left_out = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def fetch(self, query: str, *arguments: Any) -> Any:
        return await self._db.fetch(self._rewritten(query), *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        return await self._db.fetchval(self._rewritten(query), *arguments)

    def _rewritten(self, query: str) -> str:
        self.left_out += self._without in query
        return query.replace(self._without, "")


class WithoutLock(ForUpdate):
    """``for_update`` without FOR UPDATE."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        broken = Rewriting(db, " FOR UPDATE")
        answer = await super().reserve(broken, ticket, operation)
        assert broken.left_out == 1
        return answer


class WithoutGuard(Atomic):
    """``atomic`` whose decrement does not look."""

    async def reserve(self, db: asyncpg.Connection, ticket: Ticket, operation: Reserve) -> Answer:
        broken = Rewriting(db, " AND quantity_available >= $2")
        answer = await super().reserve(broken, ticket, operation)
        assert broken.left_out == 1
        return answer


class WithoutKey(Atomic):
    """``atomic`` without its unique index."""

    constraints = ""


@pytest.mark.parametrize(
    ("target", "scenario", "law"),
    [
        (WithoutLock(), "last_ticket", "no_oversell"),
        (WithoutGuard(), "last_ticket", "never_negative"),
        (WithoutKey(), "same_person_twice", "one_per_person"),
    ],
)
async def test_a_right_one_broken_on_purpose_is_caught(
    target: ForUpdate | Atomic, scenario: str, law: str, server: Server, tmp_path: Path
) -> None:
    """Take out what makes it right, and the law that it was there for is broken."""
    async with judge_of(server, target, tmp_path) as judge:
        check = await judge.check(shipped(scenario), rounds=10)
    assert check.verdict is Verdict.VIOLATED
    assert law in laws_broken(check)


def test_specimens_can_do_what_scenarios_about_buying_need() -> None:
    """A specimen that could only reserve would leave most scenarios unjudged."""
    needed = {Feature.RESERVE, Feature.CANCEL, Feature.DISCONNECT}
    assert all(needed <= specimen.target.supports for specimen in SPECIMENS.entries.values())


def test_an_unknown_specimen_lists_the_valid_ones() -> None:
    """A slip of the pen is answered with what was probably meant."""
    with pytest.raises(UsageError, match="Did you mean 'atomic'") as caught:
        resolve("specimen:atomik")
    assert all(name in str(caught.value) for name in SPECIMENS.entries)
    assert isinstance(SPECIMENS, Catalogue)
