"""PgBouncer in transaction mode, for the length of a block: a pooler before a Postgres that is there already.

It listens on a Unix socket in a private folder, so that no port can be taken by somebody else, and never
runs as root, which it refuses. There is nothing in it to be put in order: it is ended by SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from harness.errors import UsageError
from harness.postgres.connecting import connect
from harness.postgres.embedded import SOCKET_PATH_LIMIT, account, last_words, spawn, stop
from harness.postgres.folders import private_folder, temporary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from harness.postgres.reaper import Reaper

PROGRAM = "pgbouncer"
SERVERS = 10
"""The most sessions it has with Postgres for one role and database."""

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
"""Where systems put it beside ``PATH``."""
_NUMBER = 6432
"""Names its socket; nothing listens on a port of that number."""
_START_TIMEOUT = 10.0
_PAUSE = 0.005
_KEEPS_PREPARED = (1, 21)
"""The first version that carries prepared statements over from session to session."""
_CONSOLE = "pgbouncer"
_ADMIN = "oversell_console"

_CONFIGURATION = """\
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr =
listen_port = {number}
unix_socket_dir = {folder}
unix_socket_mode = 0700
auth_type = {auth}
auth_file = {folder}/users
admin_users = {admin}
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 1000
server_round_robin = 0
server_check_delay = 3600
server_login_retry = 1
server_tls_sslmode = disable
client_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
log_stats = 0
ignore_startup_parameters = {ignored}
{rest}
"""
# Limits and hints, which no answer depends on. What changes the meaning of a statement is refused, so that
# nothing is judged in settings that the target did not ask for.
_IGNORED = (
    "extra_float_digits",
    "jit",
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
)


@dataclass(slots=True)
class Pooler:
    """A running PgBouncer."""

    folder: Path
    process: subprocess.Popen[bytes]
    version: tuple[int, ...]
    _console: asyncpg.Connection | None = None

    @property
    def socket(self) -> str:
        """Path of the socket on which it listens."""
        return f"{self.folder}/.s.PGSQL.{_NUMBER}"

    @property
    def keeps_prepared(self) -> bool:
        """Whether a statement prepared in one session is there in all of them."""
        return self.version >= _KEEPS_PREPARED

    def url(self, url: str) -> str:
        """Return a URL of the Postgres behind, led through its socket."""
        parts = urlsplit(url)
        user, password = (quote(word, safe="") for word in _login(url))
        where = f"host={quote(str(self.folder), safe='')}&port={_NUMBER}"
        return f"postgresql://{user}:{password}@{parts.path}?{where}&sslmode=disable"

    async def reconnect(self) -> None:
        """Let no session be used again that there is by now."""
        assert self._console is not None  # noqa: S101  # it is opened before anybody is given this
        await self._console.execute("RECONNECT")


def find_pooler() -> str | None:
    """Return the path of PgBouncer; ``None`` when it is not installed."""
    return shutil.which(PROGRAM) or shutil.which(PROGRAM, path=os.pathsep.join(_PLACES))


@functools.cache
def version_of(program: str) -> tuple[int, ...]:
    """Return the version of a PgBouncer, by asking it; empty when it does not say."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
        if found := re.search(r"PgBouncer (\d+)\.(\d+)(?:\.(\d+))?", done.stdout):
            return tuple(int(number or 0) for number in found.groups())
    return ()


@contextlib.asynccontextmanager
async def run_pooler(reaper: Reaper, url: str) -> AsyncIterator[Pooler]:
    """Run PgBouncer in transaction mode before the Postgres behind a URL, and yield it.

    :param url: where the Postgres is, on TCP, and the one login that it lets in.
    :raises UsageError: when there is none, or it does not start; the message ends with its own words.
    """
    program = find_pooler()
    if program is None:
        raise UsageError("there is no pgbouncer here: apt install pgbouncer")
    with private_folder(_parent(), reaper) as folder:
        password = secrets.token_urlsafe(24)
        user = account()
        _configure(folder, url, password, keeps_prepared=version_of(program) >= _KEEPS_PREPARED)
        if user is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, user.uid, user.gid)
        command = [program, "-q", str(folder / "ini")]
        process = spawn(command, folder, user, reaper, signal.SIGKILL)
        pooler = Pooler(folder, process, version_of(program))
        try:
            await _ready(pooler)
            pooler._console = await connect(_console_url(pooler, password), statement_cache_size=0)
            yield pooler
        finally:
            if pooler._console is not None:
                pooler._console.terminate()
            stop(process, signal.SIGKILL, reaper)


def _parent() -> Path:
    """Return a folder in which the path of a socket is not too long."""
    longest = temporary() / "oversell-pg-xxxxxxxx" / f".s.PGSQL.{_NUMBER}"
    return temporary() if len(os.fsencode(longest)) < SOCKET_PATH_LIMIT else Path("/tmp")  # noqa: S108  # as there


def _configure(folder: Path, url: str, password: str, *, keeps_prepared: bool) -> None:
    parts = urlsplit(url)
    user, secret = _login(url)
    users = {user: secret, _ADMIN: password}
    lines = [f"{_quoted(name)} {_quoted(word)}\n" for name, word in users.items()]
    _write(folder / "users", "".join(lines))
    text = _CONFIGURATION.format(
        host=parts.hostname,
        port=parts.port,
        number=_NUMBER,
        folder=folder,
        # A server that asks for no password gives us none to ask for.
        auth="scram-sha-256" if secret else "trust",
        admin=_ADMIN,
        servers=SERVERS,
        ignored=", ".join(_IGNORED),
        rest="max_prepared_statements = 1000" if keeps_prepared else "",
    )
    _write(folder / "ini", text)


def _login(url: str) -> tuple[str, str]:
    """Return role and password, from where a driver takes them: URL, environment, whoever runs this."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    user = unquote(parts.username or "") or query.get("user") or os.environ.get("PGUSER")
    password = unquote(parts.password or "") or query.get("password") or os.environ.get("PGPASSWORD")
    return user or getpass.getuser(), password or ""


def _write(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _console_url(pooler: Pooler, password: str) -> str:
    return pooler.url(f"postgresql://{_ADMIN}:{quote(password, safe='')}@here/{_CONSOLE}")


async def _ready(pooler: Pooler) -> None:
    """Wait until it takes connections.

    :raises UsageError: when it ends before, or takes too long.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while pooler.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(pooler.socket)
            writer.close()
            return
        await asyncio.sleep(_PAUSE)
    raise UsageError(f"PgBouncer did not start: {last_words(pooler.folder)}")
