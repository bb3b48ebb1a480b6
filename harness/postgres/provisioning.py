"""Choosing where to run: a container, the embedded server, or a URL."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.postgres.connecting import connect
from harness.postgres.embedded import run_embedded
from harness.postgres.reaper import Reaper
from harness.postgres.server import OLDEST_MAJOR, Kind, Server, finish, new_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

CHOICES = ("auto", "embedded", "container")


def _silent(_: str) -> None:
    """Listen to no notices."""


@contextlib.asynccontextmanager
async def provision(
    choice: str = "auto",
    *,
    image: str | None = None,
    disposable: bool = False,
    durable: bool = False,
    notice: Callable[[str], None] = _silent,
) -> AsyncIterator[Server]:
    """Bring up a Postgres, yield it, and leave nothing behind."""
    with Reaper() as reaper:
        async with run_embedded(reaper, durable=durable) as url, _open(url, "embedded", "embedded") as server:
            yield server


@contextlib.asynccontextmanager
async def _open(url: str, kind: Kind, description: str) -> AsyncIterator[Server]:
    """Look at the server behind a URL, then offer it; what was made in it is dropped at exit."""
    connection = await connect(url)
    try:
        version = str(connection.get_settings().server_version).split()[0]
        if connection.get_server_version().major < OLDEST_MAJOR:
            raise UsageError(f"PostgreSQL {version} is too old: {OLDEST_MAJOR} or newer is needed.")
    finally:
        connection.terminate()
    server = Server(kind=kind, url=url, version=version, description=description, run=new_run())
    try:
        yield server
    finally:
        await finish(server.close())
