from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from harness.service.server import prepare
from tests.service.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.postgres import Server
    from tests.service.running import Sale, Service


@pytest_asyncio.fixture(scope="session")
async def template(server: Server) -> str:
    """The name of a migrated database, to be cloned."""

    async def install(url: str) -> None:
        await prepare(url, migrations=True)

    return await server.create_template(install, label="service")


@pytest_asyncio.fixture
async def own_database(server: Server, template: str) -> AsyncIterator[str]:
    """A migrated database for one test alone."""
    async with server.clone(template, "service") as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def service(server: Server, template: str) -> AsyncIterator[Service]:
    """One service for all tests that leave it as they found it."""
    async with server.clone(template, "service") as url, running(url) as service:
        yield service


@pytest_asyncio.fixture
async def sale(service: Service) -> Sale:
    """Ten tickets of a fresh event."""
    return await service.sale()
