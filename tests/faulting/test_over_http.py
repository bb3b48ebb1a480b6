"""Faults over HTTP: the buyer's connection is one thing, the service's to Postgres another."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from harness.errors import TargetFailedError
from harness.faulting.enumeration import Clean, cells
from harness.faulting.performing import process_of
from harness.model import Outcome, Phase, Program, Proof, Reserve, Scenario, TicketType
from harness.targets import resolve
from tests.faulting.shop import broken, cell, house_of, queue

if TYPE_CHECKING:
    from harness.faulting.performing import Performance
    from harness.postgres import Server
    from harness.targets.service import ServiceProcess


@pytest.mark.parametrize("fault", ["client gone", "answer too late"])
@pytest.mark.parametrize("step", [1, 2])
async def test_the_service_goes_on_without_its_client(
    fault: str, step: int, server: Server, tmp_path: Path
) -> None:
    """The buyer hung up and knows nothing; the purchase is made all the same, before anybody judges."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(1, 2), fault, step)
    (call,) = performance.evidence.history
    assert call.outcome is Outcome.UNKNOWN
    assert [entry.person for entry in performance.evidence.books.entries or ()] == ["buyer-1"]


async def test_the_service_survives_a_broken_connection(server: Server, tmp_path: Path) -> None:
    """It answers that it does not know, and serves the next."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        performance = await broken(await house.theatre(), queue(2, 2), "answer lost", 2)
    told = [(call.client, call.outcome) for call in performance.evidence.history]
    assert told == [("buyer-1", Outcome.UNKNOWN), ("buyer-2", Outcome.ACCEPTED)]
    assert len(performance.evidence.books.entries or ()) == 2


async def test_the_same_key_buys_once(server: Server, tmp_path: Path) -> None:
    """The answer to COMMIT was lost; the second request with that key is told what the first one bought."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        scenario = queue(1, 2)
        clean = Clean(
            plain=await theatre.perform(scenario), keyed=await theatre.perform(scenario, keyed=True)
        )
        todo = cells(clean, theatre.faults, theatre.ground)
        keyed = [each for each in todo if each.fault == "client retries, same key"]
        lost = next(each for each in keyed if each.statement.startswith("COMMIT"))
        performance = await theatre.perform(scenario, (lost,))
    assert performance.fired == (lost,)
    first, second = performance.evidence.history
    (entry,) = performance.evidence.books.entries or ()
    assert (first.outcome, second.outcome) == (Outcome.UNKNOWN, Outcome.ACCEPTED)
    assert second.answer.reservation == entry.reservation
    assert len(keyed) > len([each for each in todo if each.fault == "client retries"])


def with_proofs(*names: str) -> Scenario:
    """Return a scenario in which these buy one each and upload a good payment proof before."""
    programs = tuple(
        Program(name, (Reserve(ticket="general", person=name, proof=Proof.GOOD),)) for name in names
    )
    return Scenario(
        name="proofs",
        tickets=(TicketType(name="general", initial=len(names)),),
        phases=(Phase("buy", programs),),
    )


def told(performance: Performance) -> list[tuple[str, Outcome]]:
    """Return who was told what."""
    return [(call.client, call.outcome) for call in performance.evidence.history]


def owners(performance: Performance) -> list[str]:
    """Return who has a ticket."""
    return [entry.person for entry in performance.evidence.books.entries or ()]


@pytest.mark.parametrize(("step", "bought"), [(1, []), (2, ["buyer-1"])])
async def test_the_process_is_killed_and_started_again(
    step: int, bought: list[str], server: Server, tmp_path: Path
) -> None:
    """Its first buyer knows nothing, the second is served by another process on the same address."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        process = cast("ServiceProcess", process_of(theatre.stage.running))
        before = process.pid, process.url
        performance = await broken(theatre, queue(2, 2), "process killed", step)
        assert (process.pid != before[0], process.url) == (True, before[1])
        with pytest.raises(ProcessLookupError):
            os.killpg(before[0], 0)
    assert told(performance) == [("buyer-1", Outcome.UNKNOWN), ("buyer-2", Outcome.ACCEPTED)]
    assert owners(performance) == [*bought, "buyer-2"]
    after = performance.evidence.afterwards
    assert after is not None
    assert (after.left_open, after.unanswered, theatre.spent) == ((), (), False)
    assert [call.outcome for call in after.probes] == [Outcome.ACCEPTED]


@pytest.mark.parametrize("step", [1, 2])
async def test_the_process_is_stopped_and_goes_on(step: int, server: Server, tmp_path: Path) -> None:
    """Stopped, it does not read what Postgres answered meanwhile; its buyer waits, and is served."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        pid = cast("ServiceProcess", process_of(theatre.stage.running)).pid
        injection = await cell(theatre, queue(2, 2), "process stopped", step)
        performing = asyncio.create_task(theatre.perform(queue(2, 2), (injection,)))
        await stopped(pid)
        assert not performing.done()
        performance = await performing
        assert state_of(pid) != "T"
    assert performance.fired == (injection,)
    assert told(performance) == [("buyer-1", Outcome.ACCEPTED), ("buyer-2", Outcome.ACCEPTED)]


async def test_a_process_that_was_stopped_is_not_left_behind(server: Server, tmp_path: Path) -> None:
    """Whoever is interrupted while it stands still leaves no process that nobody will ever let go on."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        pid = cast("ServiceProcess", process_of(theatre.stage.running)).pid
        injection = await cell(theatre, queue(1, 1), "process stopped", 1)
        performing = asyncio.create_task(theatre.perform(queue(1, 1), (injection,)))
        await stopped(pid)
        performing.cancel()
        await asyncio.wait({performing})
        assert state_of(pid) != "T"
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


async def test_a_process_that_dies_for_good_is_the_targets_failure(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of the cell; what is said is that it did not come back."""
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        injection = await cell(theatre, queue(1, 1), "process killed", 1)
        monkeypatch.setattr("harness.targets.service.sys.executable", "/bin/false")
        with pytest.raises(TargetFailedError, match="ended before it was ready"):
            await theatre.perform(queue(1, 1), (injection,))


async def stopped(pid: int) -> None:
    """Return once this child of ours is stopped; fail when it ends instead."""
    seen = await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert seen is not None
    assert seen.si_code == os.CLD_STOPPED
    assert state_of(pid) == "T"


def state_of(pid: int) -> str:
    """Return what the system says a process does: ``T`` when it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("fault", "commits"),
    [
        ("cut before", False),
        ("refused 53100", False),
        ("client gone", False),
        ("cut uncommitted", True),
        ("answer lost", True),
        ("process killed", True),
    ],
)
async def test_an_upload_fails_before_while_and_after_it_is_stored(
    fault: str, commits: bool, server: Server, tmp_path: Path
) -> None:
    """Whoever has no proof that was taken buys nothing, whether or not it was stored; who comes next does."""
    scenario = with_proofs("buyer-1", "buyer-2")
    async with house_of(server, resolve("service"), tmp_path) as house:
        theatre = await house.theatre()
        plain = await theatre.perform(scenario)
        todo = cells(Clean(plain=plain, keyed=None), theatre.faults, theatre.ground)
        upload = next(
            each
            for each in todo
            if (each.fault, each.commits) == (fault, commits) and "payment_proofs" in each.statement
        )
        performance = await theatre.perform(scenario, (upload,))
    assert performance.fired == (upload,)
    assert told(performance) == [("buyer-1", Outcome.UNKNOWN), ("buyer-2", Outcome.ACCEPTED)]
    assert owners(performance) == ["buyer-2"]
