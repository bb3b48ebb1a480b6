"""The reference service as a process of the check's own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.guard import started
from harness.errors import TargetFailedError
from harness.model import Verdict
from harness.targets import service
from harness.targets.service import ServiceTarget
from tests.driving.judging import judge_of, shipped

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
