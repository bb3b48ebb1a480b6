"""A real service, run by somebody else, judged over HTTP on the database that it works on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from harness.driving.runner import Plan, run
from harness.driving.trial import Settings
from harness.errors import UsageError
from harness.model import Verdict
from harness.service.__main__ import DATABASE_VARIABLE
from harness.targets import resolve
from harness.targets.service import ServiceTarget
from tests.driving.fakes import Heard, as_file, rush
from tests.driving.judging import BURST, shipped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from harness.driving.trial import Trial
    from harness.model import Report, Scenario, Target
    from harness.postgres import Server


@pytest_asyncio.fixture
async def migrated(server: Server) -> AsyncIterator[str]:
    """A database with the ticketing system in it."""
    template = await server.create_template(ServiceTarget().install, label="in_place")
    async with server.clone(template, "in_place") as url:
        yield url


@contextlib.contextmanager
def serving(database: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the service as a process of its own; yield where it is, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.service"],
        env={**os.environ, DATABASE_VARIABLE: database},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


async def judged(target: Target, database: str, folder: Path, *scenarios: Scenario, **more: Any) -> Report:
    """Judge a target with two rounds of each scenario."""
    plan = Plan(
        **{
            "target": target,
            "scenarios": tuple(as_file(scenario) for scenario in scenarios),
            "engines": (BURST,),
            "settings": Settings(rounds=2),
            "database": database,
            **more,
        }
    )
    return await run(plan, folder=folder, listen=Heard())


async def test_a_service_is_judged_where_it_is(migrated: str, tmp_path: Path) -> None:
    """Stock is put on sale in its database, buyers come over HTTP, and the books are read in place."""
    with serving(migrated) as (url, _):
        scenarios = [shipped("rush", 6), shipped("cancel_and_resell", 6), shipped("payment_proof_fails", 6)]
        report = await judged(resolve(url), migrated, tmp_path, *scenarios)
    assert (report.verdict, report.reasons) == (Verdict.SAFE, ())
    assert report.target == url
    assert [check.runs for check in report.checks] == [2, 2, 2]
    assert all(check.spread_ms is not None for check in report.checks)


async def test_without_its_database_a_service_cannot_be_judged(tmp_path: Path) -> None:
    """Its books would be read somewhere else; the message says what to add."""
    with pytest.raises(UsageError, match="--database postgresql://"):
        await judged(resolve("http://127.0.0.1:1"), "embedded", tmp_path, rush())


async def test_a_service_that_is_not_there_is_inconclusive(migrated: str, tmp_path: Path) -> None:
    """Nobody answers at its address: that is not a pass."""
    with serving(migrated) as (url, process):
        process.kill()
        process.wait()
        report = await judged(resolve(url), migrated, tmp_path, rush())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "connecting a client" in report.reasons[0]


class KilledAfter:
    """The burst, after which the service is killed, and the burst again."""

    name, doc = "burst", ""

    def __init__(self, kill: Any) -> None:
        self._kill = kill

    def crowd(self, settings: Settings) -> int | None:
        return BURST.crowd(settings)

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        return BURST.refuses(scenario, target)

    async def drive(self, trial: Trial) -> None:
        async with trial.start(trial.database) as running:
            client = await running.connect("somebody")
            await BURST.drive(trial)
            self._kill()
            await client.close()
            await BURST.drive(trial)


async def test_a_service_that_dies_in_between_is_inconclusive(migrated: str, tmp_path: Path) -> None:
    """What it showed before is counted; that it went away is the reason."""
    with serving(migrated) as (url, process):

        def kill() -> None:
            process.kill()
            process.wait()

        report = await judged(resolve(url), migrated, tmp_path, rush(), engines=(KilledAfter(kill),))
    (check,) = report.checks
    assert (check.verdict, check.runs) == (Verdict.INCONCLUSIVE, 2)
    assert "connecting a client" in report.reasons[0]
