"""Targets that insist on an encrypted connection, and what the explorer says of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from harness.driving.trial import Settings
from harness.errors import UsageError
from harness.model import Verdict
from harness.specimens.atomic import Atomic
from tests.driving.judging import shipped
from tests.exploring.exploring import explorer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.postgres import Server
    from harness.specimens._running import RunningShop


class Encrypted(Atomic):
    """The right specimen, refusing to talk in the clear."""

    name = "encrypted"

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningShop]:
        insisting = database.replace("sslmode=disable", "sslmode=require")
        assert insisting != database
        async with super().start(insisting, folder) as running:
            yield running


async def test_a_target_that_insists_on_tls_is_explored(server: Server, tmp_path: Path) -> None:
    """With proxy_tls its statements are read, held and exhausted like anybody's."""
    async with explorer_of(server, Encrypted(), tmp_path) as explorer:
        check = await explorer.explore(shipped("last_ticket", 2), Settings(proxy_tls=True))
    assert check.verdict is Verdict.SAFE
    assert check.exhausted
    assert check.schedules is not None
    assert check.schedules > 1


async def test_without_it_the_target_cannot_start(server: Server, tmp_path: Path) -> None:
    """The proxy offers no encryption by itself, and that is the target's trouble, not a pass."""
    async with explorer_of(server, Encrypted(), tmp_path) as explorer:
        with pytest.raises(UsageError, match="rejected SSL"):
            await explorer.explore(shipped("last_ticket", 2), Settings())
