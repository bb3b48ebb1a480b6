"""The guardian: a child process that cleans up after us when we die without doing it ourselves.

It is told over its standard input what to remove, one JSON object a line, and acts when that pipe
reaches its end: the kernel closes it however we end, SIGKILL included. It uses the standard library
only, so that it starts in some milliseconds and depends on nothing that may already be gone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

PATIENCE = 8.0
"""Seconds a process group has between being asked to stop and being killed."""

DOCKER_TIMEOUT = 30.0
"""Seconds the Docker daemon has to remove one container."""


def main() -> None:
    """Listen until the pipe ends, then remove everything that was not released."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[tuple[str, str], str] = {}
    for line in sys.stdin:
        with contextlib.suppress(ValueError, KeyError):
            follow(watched, json.loads(line))
    reap(watched)


def follow(watched: dict[tuple[str, str], str], order: dict[str, str]) -> None:
    """Carry out one order: watch a thing, or release it."""
    thing = (order["kind"], order["what"])
    if order["do"] == "watch":
        watched[thing] = order["how"]
    else:
        watched.pop(thing, None)


def reap(watched: dict[tuple[str, str], str]) -> None:
    """Stop the process groups, then remove the containers and the folders."""
    stop_groups({int(what): int(how) for (kind, what), how in watched.items() if kind == "group"})
    for (kind, what), how in watched.items():
        if kind == "container":
            remove_container(what, how)
    for kind, what in watched:
        if kind == "folder":
            shutil.rmtree(what, ignore_errors=True)


def stop_groups(groups: dict[int, int]) -> None:
    """Send each process group its own signal, wait for all of them, then kill what is left."""
    for group, number in groups.items():
        signal_group(group, number)
    deadline = time.monotonic() + PATIENCE
    while any(not _gone(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.02)
    for group in groups:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that is gone needs none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def remove_container(name: str, host: str) -> None:
    """Remove a container and its volumes by force; a container that is not there is no error."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        if _remove_over_api(name, host):
            return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["docker", "--host", host, "rm", "--force", "--volumes", name],  # noqa: S607  # where PATH has it
            capture_output=True,
            timeout=DOCKER_TIMEOUT,
            check=False,
        )


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, as the Docker daemon speaks it."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def docker_connection(host: str, timeout: float) -> http.client.HTTPConnection | None:
    """Return a connection to the daemon at that address, or ``None`` when it takes more than plain HTTP."""
    address = urlsplit(host)
    if address.scheme == "unix":
        return UnixConnection(address.path, timeout)
    if address.scheme in ("tcp", "http") and address.hostname and not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(address.hostname, address.port or 2375, timeout=timeout)
    return None


def _remove_over_api(name: str, host: str) -> bool:
    """Ask the daemon itself; say whether the container is gone."""
    connection = docker_connection(host, DOCKER_TIMEOUT)
    if connection is None:
        return False
    with contextlib.closing(connection):
        connection.request("DELETE", f"/containers/{quote(name, safe='')}?force=true&v=true")
        return connection.getresponse().status in (204, 404)


def _gone(group: int) -> bool:
    """Say whether the group's leader has ended: a zombie nobody collects counts as ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


if __name__ == "__main__":
    main()
