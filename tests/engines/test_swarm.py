"""The swarm engine, with real Locust processes, real Postgres, and everything that can go wrong between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.content import content
from harness.driving.checking import refusal
from harness.driving.scenarios import load_scenarios
from harness.engines import ENGINES, default_engines
from harness.load.plan import LoadSettings
from harness.model import Phase, Program, Scenario, TicketType, Verdict
from harness.model.events import CheckFinished
from harness.model.ledger import Ledger
from harness.model.operations import ChangeCapacity
from harness.postgres import connect, provision
from harness.swarming.joining import survey
from harness.targets import resolve
from tests.engines.swarmed import RUSH, SWARM, Swarmed

if TYPE_CHECKING:
    from pathlib import Path


SHORT = LoadSettings(users=10, run_time=4.0)
LONG = LoadSettings(users=10, run_time=60.0)
"""Longer than any of these tests may take: what ends it is something else."""


class Undescribed:
    """A specimen that does not say which tables carry its stock."""

    def __init__(self, target: Any) -> None:
        self.name = target.name
        self.supports = target.supports
        self.install = target.install
        self.start = target.start


class Described(Undescribed):
    """A specimen that says of its tables what it is told to say."""

    def __init__(self, target: Any, ledger: Ledger) -> None:
        super().__init__(target)
        self.ledger = ledger


async def test_a_short_swarm_of_the_service_is_safe_with_every_commit_audited(swarmed: Swarmed) -> None:
    """Several sales, sold out one after the other; Locust's own figures are kept in the run folder."""
    done = await swarmed.check(resolve("service"), SHORT)
    assert (done.verdict, done.reasons) == (Verdict.SAFE, ())
    assert done.runs >= 2
    assert done.audit == "every commit"
    assert done.commits_audited >= done.outcomes["accepted"] > 100
    assert done.operations == swarmed.kept == sum(done.outcomes.values())
    assert done.laws["linearizable"].judgement == "held"
    folder = swarmed.folder / "swarm" / "rush"
    names = {path.name for path in folder.iterdir()}
    assert {"locust_stats.csv", "locust.html", "locust.json", "locust.log"} <= names
    assert swarmed.progress.sales == done.runs
    assert not any("postgresql://" in path.read_text() for path in folder.glob("*.log"))


async def test_workers_of_this_machine_share_the_load(swarmed: Swarmed) -> None:
    """What each of them recorded is in one history, and nobody has the name of somebody else."""
    done = await swarmed.check(resolve("sql"), LoadSettings(users=12, run_time=4.0, workers=2))
    assert (done.verdict, done.reasons) == (Verdict.SAFE, ())
    assert len(list((swarmed.folder / "swarm" / "rush" / "history").iterdir())) == 2
    assert done.operations == swarmed.kept


@pytest.mark.parametrize("described", [True, False], ids=["every commit", "sampled"])
async def test_an_oversell_ends_the_load_and_is_named(described: bool, swarmed: Swarmed) -> None:
    """Long before its time; where every commit is read, with the one that did it."""
    target = resolve("specimen:check_then_decrement")
    done = await swarmed.check(target if described else Undescribed(target), LONG)
    assert done.verdict is Verdict.VIOLATED
    (broken,) = [violation for violation in done.violations if violation.law == "no_oversell"]
    assert (broken.commit is not None) is described
    assert done.audit.startswith("every commit" if described else "sampled: ")
    assert swarmed.progress.seconds < LONG.run_time / 2


async def test_a_load_that_never_sells_out_shows_nothing(swarmed: Swarmed) -> None:
    """Not in scenarios either whose own programs sell nothing out: nobody ever stood in line."""
    line = load_scenarios([content("scenarios")])["waitlist_promotion"].build()
    done = await swarmed.check(resolve("sql"), replace(SHORT, stock=100_000, run_time=2.0), scenario=line)
    assert (done.verdict, done.violations) == (Verdict.INCONCLUSIVE, ())
    assert done.reasons == ("answers never came without which a pass says nothing: sold_out",)


async def test_a_wrong_description_of_the_tables_accuses_nobody(swarmed: Swarmed) -> None:
    """A column that never changes looks like an oversell in the log; the books of a right target do not."""
    ledger: Ledger = resolve("specimen:atomic").ledger  # type: ignore[attr-defined]  # most specimens have one
    stock = replace(ledger.stock[0], remaining="quantity_initial", capacity=None)
    target = Described(resolve("specimen:atomic"), replace(ledger, stock=(stock,)))
    done = await swarmed.check(target, SHORT)
    assert (done.verdict, done.violations) == (Verdict.INCONCLUSIVE, ())
    assert any("the log and the books of sale 1 differ" in reason for reason in done.reasons)


async def test_what_a_description_leaves_out_is_sampled_beside_the_log(swarmed: Swarmed) -> None:
    """Counters alone show no reservation: without looking at the books a mended oversell would be missed."""
    ledger: Ledger = resolve("specimen:atomic").ledger  # type: ignore[attr-defined]  # most specimens have one
    done = await swarmed.check(Described(resolve("specimen:atomic"), replace(ledger, rows=())), SHORT)
    assert (done.verdict, done.reasons) == (Verdict.SAFE, ())
    assert done.audit == "every commit, and samples of what the ledger does not tell"
    assert done.states_audited > done.commits_audited + done.runs


async def test_it_goes_on_after_an_oversell_when_told_so(swarmed: Swarmed) -> None:
    """More than one sale is found to be oversold then."""
    load = LoadSettings(users=10, run_time=4.0, stock=20, keep_going=True)
    done = await swarmed.check(resolve("specimen:check_then_decrement"), load)
    assert done.verdict is Verdict.VIOLATED
    assert done.hits > 1


async def test_a_long_history_is_judged_in_two_processes(
    swarmed: Swarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes out otherwise than in one: neither for a right target nor for a wrong one."""
    monkeypatch.setattr("harness.swarming.judging.WORTH_IT", 1)
    load = LoadSettings(users=10, run_time=4.0, stock=20, keep_going=True)
    done = await swarmed.check(resolve("specimen:check_then_decrement"), load)
    assert done.verdict is Verdict.VIOLATED
    assert done.hits > 1
    assert done.runs == swarmed.progress.sales
    assert done.operations == swarmed.kept
    assert (swarmed.folder / "swarm" / "rush" / "judging.log").read_text() == ""
    swarmed.folder = swarmed.folder / "again"
    swarmed.folder.mkdir()
    done = await swarmed.check(resolve("service"), load)
    assert (done.verdict, done.reasons) == (Verdict.SAFE, ())
    assert (done.runs, done.operations) == (swarmed.progress.sales, swarmed.kept)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_a_worker_that_dies_hangs_or_leaves_leaves_it_open(
    how: signal.Signals, swarmed: Swarmed
) -> None:
    """However well everything else goes; what it had sent is kept, and the load ends at once."""

    async def strike() -> None:
        swarmed.signal(how, "--worker")

    done = await swarmed.check(
        resolve("service"), LoadSettings(users=10, run_time=60.0, workers=2), meanwhile=strike
    )
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("worker" in reason for reason in done.reasons)
    assert done.violations == ()
    assert swarmed.progress.seconds < LONG.run_time / 2
    assert done.operations == swarmed.kept > 0


async def test_a_locust_that_is_killed_leaves_it_open(swarmed: Swarmed) -> None:
    """The process that the engine talks to: nobody is there any more."""

    async def strike() -> None:
        swarmed.signal(signal.SIGKILL, "locust", "--csv")

    done = await swarmed.check(resolve("service"), LONG, meanwhile=strike)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("locust was ended by SIGKILL" in reason for reason in done.reasons)
    assert swarmed.kept > 0


async def test_a_locust_that_is_told_to_go_leaves_it_open(swarmed: Swarmed) -> None:
    """By somebody else, in the middle: all it did has arrived, but it is not the load that was asked for."""

    async def strike() -> None:
        swarmed.signal(signal.SIGTERM, "locust", "--csv")

    done = await swarmed.check(resolve("service"), LONG, meanwhile=strike)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("somebody ended the load" in reason for reason in done.reasons)
    assert done.operations == swarmed.kept > 0


async def test_a_target_that_falls_over_leaves_it_open(swarmed: Swarmed) -> None:
    """Its process is gone in the middle: bounded, and everything gathered is kept."""

    async def strike() -> None:
        swarmed.signal(signal.SIGKILL, "harness.service")

    done = await swarmed.check(resolve("service"), LONG, meanwhile=strike)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("stopped answering" in reason for reason in done.reasons)
    assert done.violations == ()
    assert swarmed.kept > 0


async def test_postgres_that_goes_away_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It restarts in the middle, since one of its processes crashed: every session ends, ours as well."""
    mark = f"SWARMED_{secrets.token_hex(6)}"
    monkeypatch.setenv(mark, "1")
    async with provision("embedded") as server:
        swarmed = Swarmed(server, tmp_path, mark)

        async def strike() -> None:
            connection = await connect(server.url("postgres"))
            (session,) = await connection.fetchrow("SELECT pg_backend_pid()")
            os.kill(session, signal.SIGKILL)
            connection.terminate()

        done = await swarmed.check(resolve("service"), LONG, meanwhile=strike)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("audit" in reason for reason in done.reasons)
    assert swarmed.kept > 0
    assert swarmed.processes("locust") == []


async def test_an_interruption_ends_it_in_order(swarmed: Swarmed) -> None:
    """All that was recorded until then is gathered and judged, and the check says that it was cut off."""

    async def interrupt() -> None:
        assert swarmed.checking is not None
        swarmed.checking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await swarmed.check(resolve("service"), LONG, meanwhile=interrupt)
    (finished,) = [event.check for event in swarmed.heard.of(CheckFinished)]
    assert finished.verdict is Verdict.INCONCLUSIVE
    assert finished.reasons == ("it was stopped before it was done",)
    assert finished.operations == swarmed.kept > 0
    assert survey(swarmed.folder / "swarm" / "rush" / "history").troubles == []


async def test_two_masters_on_one_port_are_one_too_many(swarmed: Swarmed) -> None:
    """The second says whose port it is, and does not begin."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as first:
        port = first.getsockname()[1]
        done = await swarmed.check(resolve("sql"), LoadSettings(users=2, master=True, port=port))
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any(f"port {port} on 127.0.0.1 cannot be had" in reason for reason in done.reasons)


async def test_workers_that_never_come_are_not_waited_for_long(swarmed: Swarmed) -> None:
    """The master gives up, and says so."""
    load = LoadSettings(users=2, master=True, expect_workers=2, expect_within=2.0)
    done = await swarmed.check(resolve("sql"), load)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("Gave up waiting for workers" in reason for reason in done.reasons)


def test_nobody_knows_what_buyers_do_about_some_scenarios() -> None:
    """Then it is refused in one sentence, before anything is started."""
    scenario = Scenario(
        tickets=(TicketType(name="general", initial=1),),
        phases=(
            Phase("one", (Program("boss", (ChangeCapacity(ticket="general", person="boss", capacity=2),)),)),
        ),
    )
    reason = refusal(scenario, SWARM, resolve("sql"))
    assert reason is not None
    assert "capacity" in reason
    assert refusal(RUSH, SWARM, resolve("sql")) is None


def test_it_drives_only_when_it_is_named() -> None:
    """Neither the gate nor the self-test start processes that nobody asked for."""
    assert SWARM not in default_engines()
    assert ENGINES.get("burst") in default_engines()
