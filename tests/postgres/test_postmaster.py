"""The embedded server goes down and comes back with its data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.postgres import Reaper, connect
from harness.postgres.embedded import run_postmaster

if TYPE_CHECKING:
    from harness.postgres.embedded import Postmaster


@pytest.mark.parametrize("crashes", [True, False], ids=["a crash", "a restart"])
async def test_what_was_committed_is_there_again(crashes: bool) -> None:
    """What was not, is not; sessions end, the address stays, and no process of before is left."""
    with Reaper() as reaper:
        async with run_postmaster(reaper, durable=True) as postmaster:
            db = await connect(postmaster.url)
            assert await db.fetchval("SHOW fsync") == "on"
            await db.execute("CREATE TABLE sold (who text); INSERT INTO sold VALUES ('committed')")
            await db.execute("BEGIN; INSERT INTO sold VALUES ('open')")
            for _ in range(2):
                before = postmaster.process.pid
                await go_down(postmaster, crashes=crashes)
                with pytest.raises(ProcessLookupError):
                    os.killpg(before, 0)
                await postmaster.come_back()
                again = await connect(postmaster.url)
                assert [row["who"] for row in await again.fetch("SELECT who FROM sold")] == ["committed"]
                await again.close()
            recovered = "automatic recovery" in (postmaster.folder / "log").read_text()
            assert recovered is crashes
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await db.execute("COMMIT")
            last = postmaster.process.pid
        with pytest.raises(ProcessLookupError):
            os.killpg(last, 0)


async def go_down(postmaster: Postmaster, *, crashes: bool) -> None:
    """End it one way or the other."""
    await (postmaster.crash() if crashes else postmaster.shut_down())
