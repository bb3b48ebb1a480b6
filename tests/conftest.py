"""What tests share: one embedded Postgres for the session, an empty database for each test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from harness.errors import UsageError
from harness.postgres import provision
from harness.postgres.container import daemon_version, docker_host, has_image
from harness.postgres.pooler import find_pooler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.postgres import Server

IMAGE = os.environ.get("OVERSELL_TEST_IMAGE", "oversell-postgres:local")


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


@pytest.fixture(scope="session")
def image() -> str:
    """The local Postgres image. Without it container tests fail in CI, and are skipped elsewhere."""
    missing = _why_no_image()
    if missing is None:
        return IMAGE
    if os.environ.get("CI"):
        pytest.fail(f"Container tests must run in CI: {missing}")
    pytest.skip(f"{missing} (.ci/docker starts an engine and builds the image)")


@pytest.fixture(scope="session")
def pooler() -> str:
    """PgBouncer. Without it its tests fail in CI, and are skipped elsewhere."""
    program = find_pooler()
    if program is None and os.environ.get("CI"):
        pytest.fail("the tests of PgBouncer must run in CI: apt install pgbouncer")
    return program or pytest.skip("there is no pgbouncer here (apt install pgbouncer)")


def _why_no_image() -> str | None:
    try:
        daemon_version(docker_host())
        return None if has_image(IMAGE) else f"the image {IMAGE} is not here"
    except UsageError as error:
        return str(error)
