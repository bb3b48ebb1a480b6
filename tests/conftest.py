"""What tests share: one embedded Postgres for the session, an empty database for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from harness.postgres import provision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.postgres import Server

pytest_plugins = ["tests.no_skips"]


@pytest_asyncio.fixture(scope="session")
async def server() -> AsyncIterator[Server]:
    """The embedded server, one for the whole session."""
    async with provision("embedded") as running:
        yield running


@pytest_asyncio.fixture
async def database(server: Server) -> AsyncIterator[str]:
    """The URL of a fresh, empty database."""
    async with server.empty("test") as url:
        yield url
