"""A running server, and the databases made in it: templates, clones, all marked as ours."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from typing import TYPE_CHECKING, Literal

import asyncpg

from harness.errors import DatabaseLostError, UsageError
from harness.postgres.connecting import connect, is_connection_lost
from harness.postgres.urls import quote_identifier, with_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OLDEST_MAJOR = 15
PRISTINE = "template0"
"""The template every Postgres has and nobody can change or connect to."""

MARKER = "oversell: disposable, run "
"""How the comment on every database of ours begins; the run's own name follows."""

APPLICATION = "oversell run "
"""How the name of a run's control session begins: a marked database without one is a left-over."""

_NAME_LIMIT = 63
_BUSY_ATTEMPTS = 3
"""Tries to copy a template that is in use. The server itself waits five seconds in each."""

_REFUSED = (
    UsageError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What a statement can fail with, the loss of the server included."""

Kind = Literal["embedded", "container", "url"]


class Server:
    """A Postgres to work in. Made by :func:`harness.postgres.provision`, never directly.

    Everything is done through one control session, one statement at a time.
    """

    def __init__(self, *, kind: Kind, url: str, version: str, description: str, run: str) -> None:
        self.kind = kind
        self.version = version
        self.description = description
        self.clone_seconds: list[float] = []
        """How long each clone took to make."""
        self._url = url
        self._run = run
        self._made = 0
        self._standing: set[str] = set()
        self._lock = asyncio.Lock()
        self._control: asyncpg.Connection | None = None

    def url(self, database: str) -> str:
        """Return the URL of a database of this server. It holds the password."""
        return with_database(self._url, database)

    async def create_template(
        self, install: Callable[[str], Awaitable[None]], *, label: str = "template"
    ) -> str:
        """Make a database, let ``install`` fill it through its URL, and return its name for cloning."""
        name = await self._create(PRISTINE, label)
        try:
            await install(self.url(name))
        except BaseException:
            await finish(self._drop(name))
            raise
        return name

    @contextlib.asynccontextmanager
    async def template(self, install: Callable[[str], Awaitable[None]], *, label: str) -> AsyncIterator[str]:
        """Yield a template for the length of a block: where there are many, not all of them stay."""
        name = await self.create_template(install, label=label)
        try:
            yield name
        finally:
            await finish(self._drop(name))

    @contextlib.asynccontextmanager
    async def clone(self, template: str, label: str) -> AsyncIterator[str]:
        """Yield the URL of a fresh copy of a template; it is dropped at exit, whoever is still connected.

        :raises UsageError: when the template stays in use: sessions on it must be closed before.
        """
        started = time.perf_counter()
        name = await self._create(template, label)
        self.clone_seconds.append(time.perf_counter() - started)
        try:
            yield self.url(name)
        finally:
            await finish(self._drop(name))

    def empty(self, label: str) -> contextlib.AbstractAsyncContextManager[str]:
        """Yield the URL of a fresh database with nothing in it; it is dropped at exit."""
        return self.clone(PRISTINE, label)

    async def alive(self) -> bool:
        """Say whether the server still answers."""
        try:
            async with self._lock, asyncio.timeout(5):
                return bool(await (await self._session()).fetchval("SELECT true"))
        except _REFUSED:
            return False

    async def close(self) -> None:
        """Drop everything that was made here and is still standing."""
        for name in sorted(self._standing):
            await self._drop(name)
        if self._control is not None and not self._control.is_closed():
            self._control.terminate()

    async def _create(self, template: str, label: str) -> str:
        self._made += 1
        name = f"oversell_{self._run}_{self._made}_{_plain(label)}"[:_NAME_LIMIT]
        self._standing.add(name)
        try:
            await self._copy(template, name)
        except BaseException:
            await finish(self._drop(name))
            raise
        return name

    async def _copy(self, template: str, name: str) -> None:
        """Copy a database; a session that is just leaving the template is waited for."""
        statement = (
            f"CREATE DATABASE {quote_identifier(name)} TEMPLATE {quote_identifier(template)} STRATEGY WAL_LOG"
        )
        for attempt in range(_BUSY_ATTEMPTS):
            try:
                await self._execute(statement)
                break
            except asyncpg.ObjectInUseError as error:
                if attempt + 1 == _BUSY_ATTEMPTS:
                    raise UsageError(
                        f"The template {template!r} cannot be copied while sessions are open on it: {error}."
                    ) from error
        await self._execute(f"COMMENT ON DATABASE {quote_identifier(name)} IS '{MARKER}{self._run}'")

    async def _drop(self, name: str) -> None:
        """Drop a database; with the server gone there is nothing left to drop."""
        with contextlib.suppress(DatabaseLostError):
            await self._execute(f"DROP DATABASE IF EXISTS {quote_identifier(name)} WITH (FORCE)")
        self._standing.discard(name)

    async def _execute(self, statement: str) -> None:
        """Run a statement of ours in the control session."""
        try:
            async with self._lock, asyncio.timeout(60):
                await (await self._session()).execute(statement)
        except asyncpg.InsufficientPrivilegeError as error:
            raise UsageError(f"The database user may not do what is needed here: {error}.") from error
        except _REFUSED as error:
            if is_connection_lost(error):
                raise DatabaseLostError(f"Postgres ({self.description}) went away.") from error
            raise

    async def _session(self) -> asyncpg.Connection:
        """Return the control session, a new one when the last was lost."""
        if self._control is None or self._control.is_closed():
            settings = {"application_name": f"{APPLICATION}{self._run}"}
            self._control = await connect(self._url, server_settings=settings)
        return self._control


def new_run() -> str:
    """Return a name for a run that no other run has."""
    return secrets.token_hex(4)


async def finish(work: Awaitable[None]) -> None:
    """Carry clean-up to its end although our task is cancelled meanwhile; then let the cancellation go on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


def _plain(label: str) -> str:
    """Return the label as it may stand in a database's name."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
