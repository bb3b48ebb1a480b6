"""A swarm under chaos, with real Locust processes and real Postgres: what is right stays right, what is not
is found, and nothing stays broken.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import TargetFailedError
from harness.faulting import chaos
from harness.faulting.faults import FAULTS
from harness.load.plan import LoadSettings
from harness.model import Verdict
from harness.model.events import CheckFinished, Noticed
from harness.targets import resolve
from harness.targets.service import ServiceProcess
from tests.cli.commandline import carrying
from tests.engines.swarmed import Swarmed

if TYPE_CHECKING:
    pass

SHORT = LoadSettings(users=15, run_time=5.0, stock=60, chaos=0.02)
LONG = replace(SHORT, run_time=60.0)


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let nothing else break than this."""
    monkeypatch.setattr(chaos, "FAULTS", tuple(fault for fault in FAULTS if fault.name in names))


@pytest.mark.parametrize("spec", ["service", "sql", "specimen:for_update"])
async def test_a_right_target_is_safe(spec: str, swarmed: Swarmed) -> None:
    """Whatever breaks: answers that were lost may have happened or not, and are no trouble of the check."""
    done = await swarmed.check(resolve(spec), SHORT, seed=3)
    assert (done.verdict, done.reasons, done.violations) == (Verdict.SAFE, (), ())
    assert done.chaos is not None
    assert done.chaos.total > 10
    assert done.outcomes["unknown"] > 0
    assert done.audit == "every commit"
    assert done.laws["answers_again"].judgement == "held"
    assert any(notice.message.startswith("chaos at 2% of") for notice in swarmed.heard.of(Noticed))


async def test_a_lost_answer_is_found_to_cost_stock(swarmed: Swarmed) -> None:
    """The published flow gives back what it cannot know that it did not sell, or keeps what nobody has."""
    done = await swarmed.check(resolve("specimen:compensating"), replace(SHORT, run_time=8.0), seed=2)
    assert done.verdict is Verdict.VIOLATED
    assert {violation.law for violation in done.violations} & {"no_leak", "no_oversell"}
    assert all(each.message.startswith("while things broke at random: ") for each in done.violations)


async def test_a_race_is_found_as_without_chaos(swarmed: Swarmed) -> None:
    """By the audit, while it goes on."""
    done = await swarmed.check(resolve("specimen:check_then_decrement"), LONG)
    assert done.verdict is Verdict.VIOLATED
    assert "no_oversell" in {violation.law for violation in done.violations}
    assert swarmed.progress.seconds < LONG.run_time / 2


async def test_where_nothing_broke_nothing_was_shown(swarmed: Swarmed) -> None:
    """The load was borne, and that is all."""
    done = await swarmed.check(resolve("sql"), replace(SHORT, run_time=3.0, chaos=1e-9))
    assert done.verdict is Verdict.INCONCLUSIVE
    assert len(done.reasons) == 1
    assert done.reasons[0].startswith("nothing broke at ")


async def test_a_process_that_is_killed_again_and_again_comes_back(
    swarmed: Swarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks meanwhile gets no answer; what was bought is bought."""
    only(monkeypatch, "process killed")
    done = await swarmed.check(resolve("service"), SHORT)
    assert (done.verdict, done.reasons) == (Verdict.SAFE, ())
    assert done.chaos is not None
    assert done.chaos.fired["process killed"] >= 1


async def test_a_process_that_does_not_come_back_leaves_it_open(
    swarmed: Swarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load ends at once, and says why."""

    async def never(_: Any) -> None:
        raise TargetFailedError("the service did not come back")

    only(monkeypatch, "process killed")
    monkeypatch.setattr(ServiceProcess, "restart", never)
    done = await swarmed.check(resolve("service"), LONG)
    assert (done.verdict, done.violations) == (Verdict.INCONCLUSIVE, ())
    assert "the service did not come back" in done.reasons
    assert not any("stopped answering" in reason for reason in done.reasons)


async def test_an_interruption_leaves_nobody_stopped(
    swarmed: Swarmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stands still when the check is cut off: it goes on, answers, and is judged."""
    stopped = asyncio.Event()
    pause = ServiceProcess.pause

    def noticed(process: ServiceProcess) -> None:
        pause(process)
        stopped.set()

    async def interrupt() -> None:
        await stopped.wait()
        assert swarmed.checking is not None
        swarmed.checking.cancel()

    only(monkeypatch, "process stopped")
    monkeypatch.setattr(ServiceProcess, "pause", noticed)
    with pytest.raises(asyncio.CancelledError):
        await swarmed.check(resolve("service"), LONG, meanwhile=interrupt)
    (finished,) = [event.check for event in swarmed.heard.of(CheckFinished)]
    assert finished.reasons == ("it was stopped before it was done",)
    assert finished.operations == swarmed.kept > 0
    assert [line for line in carrying(swarmed.mark).values() if "harness.service" in line] == []


async def test_a_target_that_falls_over_by_itself_is_no_doing_of_chaos(swarmed: Swarmed) -> None:
    """Its process is gone, and nobody of ours killed it."""

    async def strike() -> None:
        swarmed.signal(signal.SIGKILL, "harness.service")

    done = await swarmed.check(resolve("service"), replace(LONG, chaos=1e-9), meanwhile=strike)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert any("stopped answering" in reason for reason in done.reasons)
