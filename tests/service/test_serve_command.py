"""``oversell serve``: one command from nothing to a page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.service.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def oversell(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command in a process group of its own, which does not outlive the block."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OVERSELL_")}
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "harness", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        await started.communicate()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_the_demo_until_it_is_stopped(ending: signal.Signals) -> None:
    """Standard output has the page's address and nothing else; stopping it is no failure."""
    async with oversell("serve", "--database", "embedded", "--port", "0") as started:
        assert started.stdout is not None
        async with asyncio.timeout(PATIENCE):
            address = (await started.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(trust_env=False) as client:
            page = await client.get(address)
        assert page.status_code == 200
        assert "Summer party" in page.text
        started.send_signal(ending)
        async with asyncio.timeout(PATIENCE):
            out, said = await started.communicate()
    assert (started.returncode, out) == (0, b"")
    assert "stopped" in said.decode()


async def test_a_database_nobody_answers_at() -> None:
    """Exit code 2 and one line without the password."""
    async with oversell("serve", "--database", "postgresql://ann:hunter2@127.0.0.1:1/shop") as started:
        async with asyncio.timeout(PATIENCE):
            out, said = await started.communicate()
    assert (started.returncode, out) == (2, b"")
    assert "hunter2" not in said.decode()
    assert "127.0.0.1:1" in said.decode()
