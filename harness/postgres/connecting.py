"""Opening connections, with every way it can fail told in one line."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import asyncpg

from harness.errors import UsageError
from harness.postgres.urls import SCHEMES, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_TIMEOUT = 10.0

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    OSError,
    EOFError,
)


async def connect(url: str, *, timeout: float = CONNECT_TIMEOUT, **options: Any) -> asyncpg.Connection:
    """Open a connection.

    :param timeout: seconds until a server that does not answer is given up.
    :param options: passed to :func:`asyncpg.connect`.
    :raises UsageError: when the URL is no good or nobody answers there as asked. The password is not in it.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise UsageError(
            f"{redact(url)!r} is no database URL: it must start with {' or '.join(f'{s}://' for s in SCHEMES)}."
        )
    try:
        async with asyncio.timeout(timeout):
            return await asyncpg.connect(url, timeout=timeout + 1, **options)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UsageError(f"{redact(url)}: {_explain(error, timeout)}") from error


def is_connection_lost(error: BaseException) -> bool:
    """Say whether an error means that the server, or the way to it, went away."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _LOST):
            return True
        if isinstance(seen, asyncpg.InterfaceError) and "connection is closed" in str(seen):
            return True
        seen = seen.__cause__
    return False


def _explain(error: Exception, timeout: float) -> str:
    """Return the reason in one line, with the way out."""
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text.format(seconds=f"{timeout:g}", words=_one_line(error))
    return f"cannot be used: {_one_line(error)}"


_REASONS: Mapping[type[BaseException], str] = {
    TimeoutError: "no answer within {seconds} s: is it a Postgres, and not too busy to answer?",
    socket.gaierror: "the host name cannot be resolved: check its spelling and the network.",
    ssl.SSLError: "the encrypted connection failed ({words}): check sslmode and the certificates.",
    FileNotFoundError: "there is no such socket: is Postgres running, and is that its folder?",
    ConnectionRefusedError: "nobody listens there: is Postgres running, and is the port right?",
    asyncpg.InvalidPasswordError: "the server refused the password.",
    asyncpg.InvalidAuthorizationSpecificationError: "the server refused the user: {words}.",
    asyncpg.InvalidCatalogNameError: "there is no such database ({words}): create it, or name another one.",
    asyncpg.TooManyConnectionsError: "the server has no connection left to give: {words}.",
    OSError: "cannot be reached: {words}.",
}


def _one_line(error: BaseException) -> str:
    """Return the error's own words, cut to a line."""
    words = " ".join(str(error).split()) or type(error).__name__
    return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else words)[:300].rstrip(
        "."
    )
