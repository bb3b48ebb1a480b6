"""The reference service as a process of the check's own."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from harness.driving.gate import OpenGate
from harness.driving.guard import started
from harness.errors import TargetFailedError
from harness.model import Hold, Operation, Outcome, Verdict
from harness.postgres import connect
from harness.targets import service
from harness.targets.service import ServiceTarget
from tests.driving.judging import judge_of, shipped
from tests.targets.test_sql import STOCK, Session, something

if TYPE_CHECKING:
    from pathlib import Path

    from harness.postgres import Server


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """The processes that the target starts, as it starts them."""
    begun: list[asyncio.subprocess.Process] = []
    real = asyncio.create_subprocess_exec

    async def noting(*words: Any, **options: Any) -> asyncio.subprocess.Process:
        begun.append(await real(*words, **options))
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noting)
    return begun


async def test_the_service_is_safe_and_gone_afterwards(
    server: Server, tmp_path: Path, children: list[asyncio.subprocess.Process]
) -> None:
    """Twenty warmed requests at once; its process group has ended when the check has."""
    async with judge_of(server, ServiceTarget(), tmp_path) as judge:
        check = await judge.check(shipped("rush"), rounds=2)
    assert (check.verdict, check.reasons) == (Verdict.SAFE, ())
    assert check.overlapping > 10
    (process,) = children
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


async def test_as_specified(server: Server, tmp_path: Path) -> None:
    """Whatever is asked of it over HTTP, one after the other, it does what the specification does."""
    template = await server.create_template(ServiceTarget().install, label="as_specified")
    accepted: Counter[type[Operation]] = Counter()
    async with (
        server.clone(template, "as_specified") as database,
        ServiceTarget().start(database, tmp_path) as running,
    ):
        client = await running.connect("c")
        for seed in range(5):
            chance = random.Random(seed)  # noqa: S311  # the same on every run, not a secret
            session = await Session(cast("Any", running), cast("Any", client), STOCK).begin()
            for _ in range(100):
                operation = something(chance)
                answer = await session.ask(operation)
                assert answer.outcome is not Outcome.UNKNOWN, answer
                await session.check()
                accepted[type(operation)] += answer.outcome is Outcome.ACCEPTED
        await client.close()
    assert min(accepted[kind] for kind in get_args(Operation)) >= 2, accepted


async def test_nothing_happens_by_itself(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sweeper and its checks are off, and then it asks Postgres nothing while nobody asks it."""
    told: dict[str, str] = {}
    real = asyncio.create_subprocess_exec

    async def noting(*words: Any, **options: Any) -> asyncio.subprocess.Process:
        told.update(options["env"])
        return await real(*words, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noting)
    template = await server.create_template(ServiceTarget().install, label="by_itself")
    last = (
        "SELECT max(query_start) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'oversell-service%'"
    )
    async with (
        server.clone(template, "by_itself") as database,
        ServiceTarget().start(database, tmp_path) as running,
    ):
        off = {"OVERSELL_SERVICE_SWEEP_EVERY": "0", "OVERSELL_SERVICE_LISTEN_CHECK": "0"}
        assert told.items() >= off.items()
        sale = await running.open_sale(STOCK)
        client = await running.connect("c")
        db = await connect(database)
        before = await db.fetchval(last)
        for _ in range(100):
            assert await db.fetchval(last) == before
        hold = Hold(ticket="standard", person="ann")
        assert (await client.perform(sale, hold, OpenGate())).outcome is Outcome.ACCEPTED
        assert await db.fetchval(last) > before
        await db.close()
        await client.close()


async def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Its last words are in the reason, and the password is not."""
    url = "postgresql://me:secret@127.0.0.1:1/none"
    with pytest.raises(TargetFailedError, match="ended before it was ready") as caught:
        async with service._process(url, tmp_path / "service.log"):
            pytest.fail("it started without a database")
    assert "nobody listens there" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in (tmp_path / "service.log").read_text()


async def test_a_service_that_is_never_ready_is_given_up_and_stopped(
    server: Server,
    tmp_path: Path,
    children: list[asyncio.subprocess.Process],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not waited for any longer than it was promised, and its process does not stay."""
    monkeypatch.setattr(service, "_READY_TIMEOUT", 0.0)
    async with server.empty("never_ready") as database:
        with pytest.raises(TargetFailedError, match="not ready within 0 s"):
            async with started(ServiceTarget(), database, tmp_path):
                pytest.fail("it cannot have been ready")
    (process,) = children
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


async def test_a_check_that_is_cancelled_stops_the_service(
    server: Server, tmp_path: Path, children: list[asyncio.subprocess.Process]
) -> None:
    """Whoever interrupts a run does not have to look for what it started."""
    ready = asyncio.Event()

    async def check(database: str) -> None:
        async with started(ServiceTarget(), database, tmp_path):
            ready.set()
            await asyncio.Event().wait()

    template = await server.create_template(ServiceTarget().install, label="cancelled")
    async with server.clone(template, "cancelled") as database:
        running = asyncio.ensure_future(check(database))
        async with asyncio.timeout(60):
            await ready.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    (process,) = children
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
