"""Where checks run: a disposable Postgres, a fresh database for each check, nothing left behind."""

from harness.postgres.connecting import connect, is_connection_lost
from harness.postgres.provisioning import provision
from harness.postgres.reaper import Reaper
from harness.postgres.server import Server
from harness.postgres.urls import for_asyncpg, options_in, quote_identifier, redact

__all__ = [
    "Reaper",
    "Server",
    "connect",
    "for_asyncpg",
    "is_connection_lost",
    "options_in",
    "provision",
    "quote_identifier",
    "redact",
]
