"""The burst: everybody at once, and what it makes of clients and books that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.tally import Tally
from harness.driving.trial import Settings, Trial
from harness.errors import UsageError
from harness.model import Answer, Cancel, Entry, Feature, Outcome, Phase, Program, Reserve, Scenario, Verdict
from harness.model.events import EvidenceKept
from tests.driving.fakes import (
    Heard,
    MemoryClient,
    MemoryRunning,
    MemoryTarget,
    Sale,
    as_specified,
    for_ever,
    oversell,
    rush,
)
from tests.driving.judging import BURST, judge_of, shipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.model import Books, Check, Operation
    from harness.postgres import Server


NOWHERE = Path("nowhere")
"""A target in memory writes no logs."""


async def judged(server: Server, target: MemoryTarget, scenario: Scenario, folder: Path) -> Check:
    """Drive three runs of a scenario against a target in memory."""
    async with judge_of(server, target, folder) as judge:
        return await judge.check(scenario, rounds=3)


async def test_everybody_is_under_way_at_once(server: Server, tmp_path: Path) -> None:
    """With nobody in the way, the whole crowd overlaps in every run, and the clients are kept."""
    target = MemoryTarget()
    check = await judged(server, target, rush(buyers=20, stock=10), tmp_path)
    assert (check.verdict, check.runs, check.operations) == (Verdict.SAFE, 3, 60)
    assert check.overlapping == 20
    assert (check.outcomes["accepted"], check.outcomes["sold_out"]) == (30, 30)
    assert check.spread_ms is not None
    assert len(target.clients) == 20
    assert {client.closed for client in target.clients} == {1}


async def test_an_oversell_is_a_hit_in_every_run(server: Server, tmp_path: Path) -> None:
    """The tally gets the evidence of each run."""
    check = await judged(server, MemoryTarget(oversell), rush(buyers=3, stock=1), tmp_path)
    assert (check.verdict, check.runs, check.hits) == (Verdict.VIOLATED, 3, 3)


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        (Settings(rounds=4, until=("no_oversell",)), 1),
        (Settings(rounds=4, until=("no_leak",)), 4),
        (Settings(rounds=4, burst_time=0.0), 1),
        (Settings(rounds=4, burst_time=1000.0), 4),
    ],
)
async def test_a_burst_is_repeated_until_it_has_what_was_wanted(
    settings: Settings, runs: int, server: Server
) -> None:
    """It ends early at the law it goes on for, not at another one, and when its time is up."""
    async with running_trial(server, MemoryTarget(oversell), rush(buyers=3, stock=1), Heard()) as trial:
        await BURST.drive(replace(trial, settings=settings))
        assert trial.tally.runs == runs


async def test_phases_follow_one_another(server: Server, tmp_path: Path) -> None:
    """Nobody of the second phase begins before everybody of the first has ended."""
    histories = Heard()
    scenario = shipped("cancel_and_resell", 6)
    async with running_trial(server, MemoryTarget(oversell), scenario, histories) as trial:
        await BURST.drive(trial)
    (kept, *_) = histories.of(EvidenceKept)
    history = kept.evidence.history
    assert [call.phase for call in history] == sorted(call.phase for call in history)
    for earlier in history:
        for later in history:
            if earlier.phase < later.phase:
                assert earlier.completed is not None
                assert earlier.completed <= later.invoked


async def test_a_cancel_names_the_reservation_of_an_earlier_phase(server: Server, tmp_path: Path) -> None:
    """What was answered in one phase is filled into the next."""
    asked: list[Operation] = []

    async def noting(client: MemoryClient, sale: Sale, operation: Operation) -> Answer:
        asked.append(operation)
        return await as_specified(client, sale, operation)

    await judged(server, MemoryTarget(noting), shipped("cancel_and_resell", 3), tmp_path)
    cancels = [operation for operation in asked if isinstance(operation, Cancel)]
    assert len(cancels) == 3
    assert all(cancel.reservation for cancel in cancels)


async def test_a_client_lost_in_one_phase_is_replaced_in_the_next(server: Server, tmp_path: Path) -> None:
    """An unknown outcome costs a connection, not the run."""

    async def losing(client: MemoryClient, sale: Sale, operation: Operation) -> Answer:
        if isinstance(operation, Reserve) and operation.person == "ada":
            return Answer(Outcome.UNKNOWN, detail="reset")
        return await as_specified(client, sale, operation)

    programs = tuple(
        Program(name, (Reserve(ticket="general", person=name),)) for name in ("ada", "ben", "cleo")
    )
    scenario = replace(rush(stock=3), phases=(Phase("one", programs), Phase("two", programs[1:])))
    target = MemoryTarget(losing)
    check = await judged(server, target, scenario, tmp_path)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert check.outcomes["unknown"] == 3
    assert len(target.clients) == 3 + 3


async def test_a_client_that_hangs_is_given_up_and_the_others_are_judged(
    server: Server, tmp_path: Path
) -> None:
    """No answer within the time-out is an unknown outcome of that client alone."""

    async def one_hangs(client: MemoryClient, sale: Sale, operation: Operation) -> Any:
        if isinstance(operation, Reserve) and operation.person == "buyer-1":
            await for_ever()
        return await as_specified(client, sale, operation)

    heard = Heard()
    scenario = rush(buyers=3, stock=3)
    async with running_trial(server, MemoryTarget(one_hangs), scenario, heard, timeout=0.1) as trial:
        await BURST.drive(trial)
    check = trial.tally.check()
    assert (check.verdict, check.outcomes["unknown"], check.outcomes["accepted"]) == (Verdict.SAFE, 2, 4)


async def test_a_phase_without_programs_is_passed(server: Server, tmp_path: Path) -> None:
    """It waits for nobody."""
    scenario = replace(rush(), phases=(Phase("nobody", ()), *rush().phases))
    check = await judged(server, MemoryTarget(), scenario, tmp_path)
    assert check.verdict is Verdict.SAFE


class MendedLater(MemoryRunning):
    """Books that show one entry too many until they have been read three times."""

    reads = 0

    async def books(self, sale: Sale) -> Books:
        self.reads += 1
        books = await super().books(sale)
        if self.reads > 3:
            return books
        extra = Entry(ticket="general", person="ghost")
        return replace(books, entries=(*(books.entries or ()), extra))


async def test_a_state_on_the_way_is_judged_although_it_was_mended(server: Server, tmp_path: Path) -> None:
    """An oversell that is gone at the end was seen, and is a violation all the same."""

    class Mended(MemoryTarget):
        @contextlib.asynccontextmanager
        async def start(self, _database: str, _folder: Path) -> AsyncIterator[MemoryRunning]:
            yield MendedLater(self)

    check = await judged(server, Mended(), rush(buyers=3, stock=1), tmp_path)
    assert check.verdict is Verdict.VIOLATED
    assert "no_oversell" in {violation.law for violation in check.violations}


async def test_one_seed_gives_one_walk_away(server: Server, tmp_path: Path) -> None:
    """When a client goes away is drawn from the seed, so the same run can be asked for again."""
    scenario = shipped("client_disconnects", 4)
    check = await judged(server, MemoryTarget(), scenario, tmp_path)
    assert Feature.DISCONNECT in scenario.needs
    assert check.verdict in (Verdict.SAFE, Verdict.INCONCLUSIVE)
    assert not check.violations


async def test_cancellation_drops_every_client_and_hands_nothing_in(server: Server) -> None:
    """An interrupted run is no evidence; its clients are closed."""
    arrived = asyncio.Event()

    async def hanging(_client: MemoryClient, _sale: Sale, _operation: Operation) -> Any:
        arrived.set()
        await for_ever()

    target = MemoryTarget(hanging)
    async with running_trial(server, target, rush(), Heard()) as trial:
        driving = asyncio.ensure_future(BURST.drive(trial))
        async with asyncio.timeout(30):
            await arrived.wait()
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
    assert trial.tally.runs == 0
    assert {client.closed for client in target.clients} == {1}


def test_an_unknown_engine_lists_the_valid_ones() -> None:
    """Engines are a catalogue like any other."""
    from harness.engines import ENGINES

    with pytest.raises(UsageError, match=r"No engine named 'brust'. Did you mean 'burst'\?"):
        ENGINES.get("brust")


@contextlib.asynccontextmanager
async def running_trial(
    server: Server,
    target: MemoryTarget,
    scenario: Scenario,
    heard: Heard,
    timeout: float = 30.0,
) -> AsyncIterator[Trial]:
    """Yield a trial of two runs on an empty database."""
    async with server.empty("burst") as database:
        yield Trial(
            scenario=scenario,
            start=lambda url: target.start(url, NOWHERE),
            target=target.name,
            implementation=target,
            folder=NOWHERE,
            database=database,
            settings=Settings(rounds=2, operation_timeout=timeout),
            tally=Tally(scenario=scenario, engine="burst", laws=None, listen=heard),
        )
