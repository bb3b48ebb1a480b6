"""Where Postgres listens, read from a connection URL, and the same URL led through a proxy."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address, or a Unix socket when ``host`` is a folder."""

    host: str
    port: int = 5432

    @property
    def socket(self) -> str | None:
        """Path of the Unix socket; ``None`` for TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


def address_of(url: str) -> Address:
    """Return where a connection URL leads.

    Understands ``host`` and ``port`` as query parameters (as libpq and asyncpg do) and folders of Unix
    sockets, percent-encoded or not.

    :raises UsageError: when it is not a URL of Postgres. It may hold a password, so the message
        does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme.split("+")[0] not in ("postgres", "postgresql"):
        raise UsageError(
            f"A Postgres URL begins with postgresql://, not with {parts.scheme or 'no scheme'!r}."
        )
    query = dict(parse_qsl(parts.query))
    try:
        port = int(query.get("port") or parts.port or 5432)
    except ValueError:
        raise UsageError("The port in the Postgres URL is not a number.") from None
    return Address(query.get("host") or unquote(parts.hostname or "") or "127.0.0.1", port)


def lead_through(url: str, address: Address) -> str:
    """Return the URL with another address, and everything else (role, password, database, options) kept."""
    address_of(url)
    parts = urlsplit(url)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("host", "port")]
    netloc = f"{login}{quote(address.host, safe='')}:{address.port}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query)))
