"""Where checks run: a disposable Postgres, a fresh database for each check, nothing left behind."""

from harness.postgres.connecting import connect, is_connection_lost
from harness.postgres.provisioning import provision
from harness.postgres.reaper import Reaper
from harness.postgres.server import Server
from harness.postgres.urls import quote_identifier, redact

__all__ = [
    "Reaper",
    "Server",
    "connect",
    "is_connection_lost",
    "provision",
    "quote_identifier",
    "redact",
]
