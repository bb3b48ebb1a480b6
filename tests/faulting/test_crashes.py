"""Postgres goes down at a step and comes back: on a server of the engine's own, with fsync on."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.exploring.replaying import ReplayOutcome
from harness.faulting.enumeration import Clean, cells
from harness.faulting.replaying import replay
from harness.model import Mark, Outcome, Verdict
from harness.model.events import FailureKept
from harness.postgres import connect
from harness.specimens._running import RunningShop
from harness.targets import resolve
from tests.driving.judging import judge_of
from tests.faulting.shop import WatchedShop, house_of, queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.faulting.performing import Performance
    from harness.faulting.theatre import House
    from harness.model import Books, Scenario
    from harness.postgres import Server
    from harness.specimens._running import ShopSale
    from harness.specimens._shop import Shop

DOWN = ["Postgres crashed", "Postgres restarted"]


async def gone_down(house: House, scenario: Scenario, fault: str, step: int) -> Performance:
    """Run a scenario in which Postgres goes down at a step of the first buyer's request."""
    theatre = await house.theatre()
    plain = await theatre.perform(scenario)
    todo = cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
    (injection,) = [each for each in todo if (each.fault, each.step, each.client) == (fault, step, "buyer-1")]
    apart = await house.theatre((injection,))
    assert apart is not theatre
    assert apart.postmaster is not None
    before = apart.postmaster.process.pid
    performance = await apart.perform(scenario, (injection,))
    assert performance.fired == (injection,)
    assert apart.postmaster.process.pid != before
    assert await apart.watch.monitor.db.fetchval("SHOW fsync") == "on"
    return performance


@pytest.mark.parametrize(("concurrent", "alive"), [(False, 1), (True, 2)])
async def test_a_target_is_started_once_at_a_time_unless_it_says_otherwise(
    concurrent: bool, alive: int, server: Server, tmp_path: Path
) -> None:
    """What it keeps in a module belongs to one database; the server of our own is another."""
    there = 0

    class Counted(WatchedShop):
        starts_concurrently = concurrent

        @contextlib.asynccontextmanager
        async def equipped(self, database: str) -> AsyncIterator[Shop]:
            nonlocal there
            async with super().equipped(database) as shop:
                there += 1
                yield shop
                there -= 1

    async with house_of(server, Counted(), tmp_path) as house:
        theatre = await house.theatre()
        plain = await theatre.perform(queue(1, 2))
        todo = cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
        await house.theatre([each for each in todo if each.fault == DOWN[0]])
        assert there == alive
    assert there == 0


def is_well(performance: Performance) -> bool:
    """Say whether the target answered afterwards, and left nothing open."""
    after = performance.evidence.afterwards
    assert after is not None
    answered = [call.outcome for call in after.probes][-1:] == [Outcome.ACCEPTED]
    return (after.left_open, after.unanswered, answered) == ((), (), True)


@pytest.mark.parametrize("fault", DOWN)
@pytest.mark.parametrize(("step", "left"), [(1, (2, 0)), (2, (2, 0)), (3, (1, 0)), (4, (1, 0))])
async def test_what_was_committed_stays_and_nothing_else(
    fault: str, step: int, left: tuple[int, int], server: Server, tmp_path: Path
) -> None:
    """The counter and the rows of a shop that takes, and then writes in another transaction."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        performance = await gone_down(house, queue(buyers=1, stock=2), fault, step)
    books = performance.evidence.books
    assert (books.stock[0].remaining, len(books.entries or ())) == left
    assert [call.outcome for call in performance.evidence.history] == [Outcome.UNKNOWN]
    assert is_well(performance)


@pytest.mark.parametrize("fault", DOWN)
@pytest.mark.parametrize("spec", ["sql", "service"])
async def test_what_is_shipped_gets_over_it(fault: str, spec: str, server: Server, tmp_path: Path) -> None:
    """The first buyer bought nothing; the second is served by the same process over new connections."""
    async with house_of(server, resolve(spec), tmp_path) as house:
        performance = await gone_down(house, queue(buyers=2, stock=2), fault, 2)
    told = {call.client: call.outcome for call in performance.evidence.history}
    assert told == {"buyer-1": Outcome.UNKNOWN, "buyer-2": Outcome.ACCEPTED}
    assert [entry.person for entry in performance.evidence.books.entries or ()] == ["buyer-2"]
    assert is_well(performance)


async def test_nothing_is_left_of_its_server(server: Server, tmp_path: Path) -> None:
    """No process and no folder."""
    async with house_of(server, WatchedShop(), tmp_path) as house:
        await gone_down(house, queue(1, 1), "Postgres crashed", 1)
        (apart,) = [each for each in house._theatres.values() if each.postmaster is not None]
        postmaster = apart.postmaster
        assert postmaster is not None
        assert postmaster.folder.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(postmaster.process.pid, 0)
    assert not postmaster.folder.exists()


async def test_the_engine_finds_what_a_crash_costs(server: Server, tmp_path: Path) -> None:
    """A ticket that was taken in a transaction of its own is lost; it is told, kept, and replayed."""
    shop = WatchedShop()
    settings = Settings(seed=1, fault_pairs=0, operation_timeout=2.0)
    async with judge_of(server, shop, tmp_path) as judge:
        check = await judge.drive(queue(1, 1), ENGINES.get("faults"), settings)
        kept = [event.failure for event in judge.heard.of(FailureKept)]
    assert check.faults is not None
    assert [check.faults.count(mark) for mark in (Mark.UNEXPLORED, Mark.NOT_FIRED)] == [0, 0]
    found = {(each.law, each.fault): each for each in check.faults.findings}
    finding = found["no_leak", "Postgres crashed"]
    assert "Postgres crashed and recovered before INSERT INTO rsvps while buyer-1 reserved" in finding.message
    (failure,) = [each for each in kept if each.id == finding.replay]
    assert failure.replayed == failure.reproduced > 0
    async with house_of(server, shop, tmp_path) as house:
        assert (await replay(house, failure)).outcome is ReplayOutcome.STILL_FAILS


async def test_without_it_its_cells_are_not_judged(server: Server, tmp_path: Path) -> None:
    """It can be left out, and that is said."""
    settings = Settings(seed=1, fault_pairs=0, operation_timeout=2.0, fault_crashes=False)
    async with judge_of(server, resolve("sql"), tmp_path) as judge:
        check = await judge.drive(queue(1, 1), ENGINES.get("faults"), settings)
    assert check.faults is not None
    marks = {row.marks[fault] for row in check.faults.rows for fault in DOWN if fault in row.marks}
    assert marks == {Mark.NOT_JUDGED}
    assert any(reason.startswith("Postgres crashed and restarted:") for reason in check.faults.reasons)


class Once(RunningShop):
    """Reads its books over one connection, and never over another."""

    async def books(self, sale: ShopSale) -> Books:
        """Fail once that connection is lost."""
        if self._db.is_closed():
            raise ConnectionError("my connection is lost")
        return await super().books(sale)


class NeverAgain(WatchedShop):
    """A shop whose books cannot be read any more once Postgres was gone."""

    name = "never_again"

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningShop]:  # noqa: ARG002  # no logs
        """Open that connection."""
        running = Once(self, database, await connect(database))
        try:
            yield running
        finally:
            running.leave()


async def test_books_that_cannot_be_read_again_are_no_finding(server: Server, tmp_path: Path) -> None:
    """Such cells are not judged, with what the target said; all the others are."""
    settings = replace(Settings(), seed=1, fault_pairs=0, operation_timeout=2.0)
    async with judge_of(server, NeverAgain(), tmp_path) as judge:
        check = await judge.drive(queue(1, 2), ENGINES.get("faults"), settings)
    assert check.faults is not None
    assert check.verdict is Verdict.VIOLATED
    marks = {row.marks[fault] for row in check.faults.rows for fault in DOWN if fault in row.marks}
    assert marks == {Mark.NOT_JUDGED}
    assert any("my connection is lost" in reason for reason in check.faults.reasons)
