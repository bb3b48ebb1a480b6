"""Opening connections, with every way it can fail told in one line."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import asyncpg

from harness.errors import UsageError
from harness.postgres.urls import SCHEMES, for_asyncpg, options_in, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_TIMEOUT = 10.0
"""Seconds a server has to let us in."""


async def connect(url: str, *, timeout: float = CONNECT_TIMEOUT, **options: Any) -> asyncpg.Connection:
    """Open a connection.

    :param timeout: seconds until a server that does not answer is given up.
    :param options: passed to :func:`asyncpg.connect`.
    :raises UsageError: when the URL is no good or nobody answers there as asked. The password is not in it.
    """
    if url.partition("://")[0] not in SCHEMES:
        valid = " or ".join(f"{scheme}://" for scheme in SCHEMES)
        raise UsageError(f"{redact(url)!r} is no database URL: it must start with {valid}.")
    try:
        async with asyncio.timeout(timeout):
            options = options_in(url) | options
            return await asyncpg.connect(for_asyncpg(url), timeout=timeout + 1, **options)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UsageError(f"{redact(url)}: {_explain(error, timeout)}") from error


def is_connection_lost(error: BaseException) -> bool:
    """Say whether an error means that the server, or the way to it, went away.

    A time-out alone does not: the server may be slow. One while connecting does.
    """
    return any(_lost(each, outermost=each is error) for each in _chain(error))


_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    EOFError,
)

_REASONS: dict[type[BaseException], str] = {
    TimeoutError: "no answer within {seconds} s: is it a Postgres, and not too busy to answer?",
    socket.gaierror: "the host name cannot be resolved: check its spelling and the network.",
    ssl.SSLError: "the encrypted connection failed ({words}): check sslmode and the certificates.",
    FileNotFoundError: "there is no such socket: is Postgres running, and is that its folder?",
    ConnectionRefusedError: "nobody listens there: is Postgres running, and is the port right?",
    OSError: "cannot be reached: {words}.",
    asyncpg.InvalidPasswordError: "the server refused the password.",
    asyncpg.InvalidAuthorizationSpecificationError: "the server refused the user: {words}.",
    asyncpg.InvalidCatalogNameError: "there is no such database ({words}): create it, or name another one.",
    asyncpg.TooManyConnectionsError: "the server has no connection left to give: {words}.",
    asyncpg.InterfaceError: "cannot be used: {words}.",
    # Its words may quote a part of the password.
    ValueError: "is malformed: percent-encode whatever is not a letter or a digit in user and password.",
}
"""What is said of each kind of error; the first that fits counts."""


def _explain(error: Exception, timeout: float) -> str:
    """Return the reason in one line, with the way out."""
    words = _one_line(error)
    if isinstance(error, OSError) and "Connect call failed" in words:
        error = ConnectionRefusedError()
    for kind, text in _REASONS.items():
        if isinstance(error, kind):
            return text.format(seconds=f"{timeout:g}", words=words)
    return f"cannot be used: {words}."


def _one_line(error: BaseException) -> str:
    """Return the error's own words, cut to a line."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return str(error) if "Connect call failed" in str(error) else os.strerror(error.errno)
    words = " ".join(str(error).split()) or type(error).__name__
    return words[:300].rstrip(".")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and so on."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__


def _lost(error: BaseException, *, outermost: bool) -> bool:
    if isinstance(error, TimeoutError):
        return error.errno is not None or not outermost
    if isinstance(error, asyncpg.InterfaceError):
        return "connection is closed" in str(error)
    if isinstance(error, asyncpg.InternalClientError):
        # What asyncpg says when the server's farewell came while nobody was asking anything.
        return "cannot switch to state" in str(error)
    return isinstance(error, (*_GONE, OSError))
