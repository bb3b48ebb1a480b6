"""Database URLs and SQL identifiers: quoting, redaction, another database of the same server."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from harness.errors import UsageError

SCHEMES = ("postgresql", "postgres")
HIDDEN = "***"

_SECRET_PARAMETERS = re.compile(r"([?&](?:password|sslpassword)=)[^&#\s]*", re.IGNORECASE)
_USER_INFO = re.compile(r"(://[^:@/?#]*:).*@", re.DOTALL)
_PARAMETER = re.compile(r"\?[A-Za-z_]+=")
_CACHE = "statement_cache_size"
_DATABASE_PARAMETERS = frozenset({"dbname", "database"})
_LIBPQ_ONLY = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "require_auth",
        "sslcompression",
        "tcp_user_timeout",
    }
)
"""Parameters of libpq's own that asyncpg would send on as server settings, which the server refuses."""


def quote_identifier(name: str) -> str:
    """Return the name as an SQL identifier, whatever it contains.

    :raises ValueError: when it holds a NUL character, which no identifier can.
    """
    if "\0" in name:
        raise ValueError("an SQL identifier cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def redact(url: str) -> str:
    """Return the URL with its password hidden, in the user part and in the query, well-formed or not.

    Everything between the first colon of the user part and the last ``@`` counts as password, since one
    whose special characters were not percent-encoded may look like a host, a path or a query.
    """
    query = _PARAMETER.search(url, url.rfind("@") + 1)
    end = query.start() if query else len(url)
    hidden = _USER_INFO.sub(rf"\g<1>{HIDDEN}@", url[:end]) + url[end:]
    return _SECRET_PARAMETERS.sub(rf"\g<1>{HIDDEN}", hidden)


def with_database(url: str, database: str) -> str:
    """Return the URL of another database of the same server; everything else stays as it was."""
    parts = urlsplit(url)
    query = _query_without(parts.query, _DATABASE_PARAMETERS)
    return f"{parts.scheme}://{parts.netloc}/{quote(database, safe='')}{query}"


def for_asyncpg(url: str) -> str:
    """Return the URL without the parameters that only libpq understands, and without our own."""
    parts = urlsplit(url)
    query = _query_without(parts.query, _LIBPQ_ONLY | {_CACHE})
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def options_in(url: str) -> dict[str, int]:
    """Return what the URL says for asyncpg that asyncpg reads in no URL.

    Behind a pooler in transaction mode statements must not be prepared to be used again, since the next
    session has none of them: ``?statement_cache_size=0``.

    :raises UsageError: when it says something that is no number.
    """
    sizes = [value for name, value in parse_qsl(urlsplit(url).query) if name == _CACHE]
    if not all(size.isdecimal() for size in sizes):
        raise UsageError(f"{_CACHE} in a database URL must be a whole number, not {sizes[-1]!r}.")
    return {_CACHE: int(sizes[-1])} if sizes else {}


def build_url(*, user: str, password: str, host: str, port: int) -> str:
    """Return the URL of a server of ours. It has no TLS: ``PGSSLMODE`` must not ask for it."""
    secret = quote(password, safe="")
    return f"postgresql://{quote(user)}:{secret}@{host}:{port}/postgres?sslmode=disable"


def _query_without(query: str, names: frozenset[str]) -> str:
    """Return a URL's query with some parameters left out, question mark included."""
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in names]
    return f"?{urlencode(kept, quote_via=quote, safe='/')}" if kept else ""
