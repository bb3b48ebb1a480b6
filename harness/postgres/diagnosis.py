"""What this machine has to run on, found by trying, and what is left of runs that crashed.

Nothing is changed: no image is pulled, no left-over removed, and nothing is written behind a URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import pwd
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import asyncpg

from harness.errors import UsageError
from harness.postgres import existing, folders
from harness.postgres.audit import forgotten
from harness.postgres.connecting import connect
from harness.postgres.container import (
    DEFAULT_IMAGE,
    daemon_version,
    docker_host,
    has_image,
    left_over_containers,
)
from harness.postgres.embedded import account, installations
from harness.postgres.pooler import find_pooler, version_of
from harness.postgres.provisioning import provision
from harness.postgres.urls import redact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_ROOM_NEEDED = 512 << 20
"""Bytes a run may write where its data is kept."""


class State(StrEnum):
    """How a thing was found to be."""

    GOOD = "good"
    MISSING = "missing"
    NOTE = "note"
    """Neither good nor bad, but worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was found, and what follows from it."""

    findings: Sequence[Finding]
    usable: bool
    """Whether ``--database`` as it is set leads to a Postgres."""
    choice: str
    """What ``--database`` as it is set would choose, and why, in one line."""


async def examine(database: str, image: str | None) -> Diagnosis:
    """Look at the machine.

    :param database: what ``--database`` is set to.
    :param image: what ``--image`` is set to.
    """
    wanted = image or DEFAULT_IMAGE
    docker, picture = await asyncio.to_thread(_docker, wanted)
    embedded = await _embedded()
    findings = [_python(), _user(), _folder(), _port(), docker, picture, embedded, _pooler()]
    given = await _given(database) if "://" in database else None
    findings += [given] if given else []
    findings += await _left_overs(database if given and given.state is State.GOOD else None)
    # A service that runs already is judged in its own database, which need not be one to make others in.
    if given and (names := await _or_nothing(lambda: _audits(database))) is not None:
        findings.append(_left("audits", names, "the next audit of this database removes them"))
    usable, choice = _choose(database, wanted, picture, embedded, given)
    return Diagnosis(findings, usable, choice)


def _choose(
    database: str, image: str, picture: Finding, embedded: Finding, given: Finding | None
) -> tuple[bool, str]:
    """Say what ``--database`` would lead to."""
    if given is not None:
        return given.state is State.GOOD, given.detail
    container = database != "embedded"
    if container and picture.state is State.GOOD:
        return True, f"a container of {image}"
    if database == "container":
        return False, f"nothing yet: {picture.detail}"
    if embedded.state is not State.GOOD:
        other = f"; {picture.detail}" if container else ""
        return False, f"nothing: {embedded.detail}{other}; name a server with --database postgresql://…"
    if not container:
        return True, "the embedded server"
    if picture.state is State.NOTE:
        return True, f"a container of {image} if that can be pulled in time, else the embedded server"
    return True, f"the embedded server, because {picture.detail}"


def _python() -> Finding:
    return Finding("Python", State.GOOD, f"{platform.python_version()} at {sys.executable}")


def _user() -> Finding:
    """Say who we are, and as whom the embedded server would run."""
    try:
        lent = account()
    except UsageError as error:
        return Finding("user", State.MISSING, str(error))
    if lent is not None:
        return Finding("user", State.NOTE, f"root: the embedded server runs as {lent.name}")
    try:
        return Finding("user", State.GOOD, f"{pwd.getpwuid(os.geteuid()).pw_name}, unprivileged")
    except KeyError:
        detail = f"number {os.geteuid()} has no name in /etc/passwd, which the embedded server needs"
        return Finding("user", State.MISSING, detail)


def _folder() -> Finding:
    """Look at the folder data would be kept in."""
    folder = folders.for_data(durable=False)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("data folder", State.MISSING, f"{folder} cannot be written: set TMPDIR")
    free = shutil.disk_usage(folder).free
    where = f"{folder}, {free >> 20} MB free"
    if free < _ROOM_NEEDED:
        return Finding("data folder", State.MISSING, f"{where}: {_ROOM_NEEDED >> 20} MB needed")
    return Finding("data folder", State.GOOD, where + (", in memory" if folder == folders.MEMORY else ""))


def _port() -> Finding:
    """Have the kernel choose a port on 127.0.0.1."""
    try:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            return Finding("port", State.GOOD, f"the kernel gave {holder.getsockname()[1]} on 127.0.0.1")
    except OSError as error:
        return Finding("port", State.MISSING, f"none to be had on 127.0.0.1: {error.strerror}")


def _docker(image: str) -> tuple[Finding, Finding]:
    """Look for a daemon, and for the image."""
    try:
        host = docker_host()
        daemon = Finding("Docker", State.GOOD, f"version {daemon_version(host)} at {host}")
    except UsageError as error:
        return (
            Finding("Docker", State.MISSING, str(error)),
            Finding("image", State.MISSING, str(error)),
        )
    try:
        here = has_image(image)
    except UsageError as error:
        return daemon, Finding("image", State.MISSING, str(error))
    if here:
        return daemon, Finding("image", State.GOOD, image)
    return daemon, Finding(
        "image", State.NOTE, f"{image} is not here; a run pulls it, or: docker pull {image}"
    )


def _pooler() -> Finding:
    """Look for PgBouncer, which one of the faults needs."""
    program = find_pooler()
    if program is None:
        return Finding(
            "PgBouncer", State.NOTE, "not here, so that its fault is not judged: apt install pgbouncer"
        )
    version = ".".join(map(str, version_of(program))) or "unknown"
    return Finding("PgBouncer", State.GOOD, f"version {version} at {program}")


async def _embedded() -> Finding:
    """Start the embedded server and stop it again."""
    versions = ", ".join(each.version for each in await asyncio.to_thread(installations))
    started = time.perf_counter()
    try:
        async with provision("embedded") as server:
            seconds = time.perf_counter() - started
            detail = f"PostgreSQL {server.version} starts in {seconds:.1f} s (installed: {versions})"
            return Finding("embedded server", State.GOOD, detail)
    except UsageError as error:
        return Finding("embedded server", State.MISSING, str(error).rstrip("."))


async def _given(url: str) -> Finding:
    """Look at the server behind a URL as a run would, without making anything in it."""
    name = "database URL"
    try:
        connection = await connect(url)
        try:
            version = existing.require_version(connection)
            await existing.require_usable(connection, url, disposable=False)
        finally:
            connection.terminate()
    except UsageError as error:
        return Finding(name, State.MISSING, str(error))
    return Finding(name, State.GOOD, f"PostgreSQL {version} answers at {redact(url)}")


async def _left_overs(url: str | None) -> Sequence[Finding]:
    """Name what crashed runs left, wherever we can look."""
    found = [str(path) for path in await asyncio.to_thread(folders.left_over_folders)]
    findings = [_left("folders", found, "rm -r them")]
    if (containers := await _or_nothing(lambda: asyncio.to_thread(left_over_containers))) is not None:
        findings.append(_left("containers", containers, "docker rm -f -v them"))
    if url is not None and (names := await _or_nothing(lambda: _databases(url))) is not None:
        findings.append(_left("databases", names, "the next run drops its own user's"))
    return findings


async def _databases(url: str) -> Sequence[str]:
    connection = await connect(url)
    try:
        return await existing.left_overs(connection)
    finally:
        connection.terminate()


async def _audits(url: str) -> Sequence[str]:
    """Name what audits that were killed left in the named database.

    :raises UsageError: when we cannot look.
    """
    connection = await connect(url)
    try:
        return await forgotten(connection)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise UsageError(f"{redact(url)} was lost: {error}") from error
    finally:
        connection.terminate()


async def _or_nothing(look: Callable[[], Awaitable[Sequence[str]]]) -> Sequence[str] | None:
    """Return what was found, or ``None`` where we cannot look: that is another finding's business."""
    with contextlib.suppress(UsageError):
        return await look()
    return None


def _left(kind: str, names: Sequence[str], remedy: str) -> Finding:
    if not names:
        return Finding(f"left-over {kind}", State.GOOD, "none")
    return Finding(f"left-over {kind}", State.NOTE, f"{', '.join(names)}: {remedy}")
