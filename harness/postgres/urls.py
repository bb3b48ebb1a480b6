"""Database URLs and SQL identifiers: quoting, redaction, another database of the same server."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SCHEMES = ("postgresql", "postgres")
HIDDEN = "***"

_SECRET_PARAMETERS = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&#]*", re.IGNORECASE)
_USER_INFO = re.compile(r"(://[^:@/?#]*:).*@", re.DOTALL)
_DATABASE_PARAMETERS = ("dbname", "database")


def quote_identifier(name: str) -> str:
    """Return the name as an SQL identifier, whatever it contains.

    :raises ValueError: when it holds a NUL character, which no identifier can.
    """
    if "\0" in name:
        raise ValueError("an SQL identifier cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def redact(url: str) -> str:
    """Return the URL with its password hidden, in the user part and in the query, well-formed or not.

    Everything between the first colon of the user part and the last ``@`` counts as password, since a
    password whose special characters were not percent-encoded may look like a host.
    """
    head, mark, tail = _split_query(url)
    return _SECRET_PARAMETERS.sub(rf"\g<1>{HIDDEN}", _USER_INFO.sub(rf"\g<1>{HIDDEN}@", head) + mark + tail)


def is_url(text: str) -> bool:
    """Say whether the text is meant as a database URL."""
    return "://" in text


def with_database(url: str, database: str) -> str:
    """Return the URL of another database of the same server; everything else stays as it was."""
    parts = urlsplit(url)
    kept = [
        (key, value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
        if key not in _DATABASE_PARAMETERS
    ]
    query = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    return f"{parts.scheme}://{parts.netloc}/{quote(database, safe='')}{query}"


def build_url(*, user: str, password: str, host: str, port: int, database: str) -> str:
    """Return a URL for a server of ours."""
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@{host}:{port}/{quote(database, safe='')}"


def _split_query(url: str) -> tuple[str, str, str]:
    """Split before the query; a question mark inside a password does not start one."""
    last_at = url.rfind("@")
    question = url.find("?")
    if -1 < question < last_at and "=" not in url[question:last_at]:
        question = url.find("?", last_at)
    return (url, "", "") if question < 0 else (url[:question], "?", url[question + 1 :])
