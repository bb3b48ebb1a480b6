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

DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"


def main() -> None:
    """Listen until the pipe ends, then remove everything that was not released."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    watched: dict[tuple[str, str], int] = {}
    for line in sys.stdin:
        with contextlib.suppress(ValueError, KeyError):
            follow(watched, json.loads(line))
    reap(watched)


def follow(watched: dict[tuple[str, str], int], order: dict[str, str]) -> None:
    """Carry out one order: watch a thing, or release it."""
    thing = (order["kind"], order["what"])
    if order["do"] == "watch":
        watched[thing] = int(order["signal"])
    else:
        watched.pop(thing, None)


def reap(watched: dict[tuple[str, str], int]) -> None:
    """Stop the process groups, then remove the containers and the folders."""
    groups = {int(what): number for (kind, what), number in watched.items() if kind == "group"}
    stop_groups(groups)
    for kind, what in watched:
        if kind == "container":
            remove_container(what)
    for kind, what in watched:
        if kind == "folder":
            shutil.rmtree(what, ignore_errors=True)


def stop_groups(groups: dict[int, int]) -> None:
    """Send each process group its own signal, wait for all of them, then kill what is left."""
    for group, number in groups.items():
        _signal(group, number)
    deadline = time.monotonic() + PATIENCE
    while any(not _gone(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.02)
    for group in groups:
        _signal(group, signal.SIGKILL)


def remove_container(name: str) -> None:
    """Remove a container and its volumes by force; a container that is not there is no error."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        if _remove_over_api(name):
            return
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603  # a list of arguments, never a shell string
            ["docker", "rm", "--force", "--volumes", name],  # noqa: S607  # wherever the user has it
            capture_output=True,
            timeout=30,
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


def docker_connection(timeout: float) -> http.client.HTTPConnection | None:
    """Return a connection to the daemon ``DOCKER_HOST`` names, or ``None`` when it needs more than HTTP."""
    host = urlsplit(os.environ.get("DOCKER_HOST") or DEFAULT_DOCKER_HOST)
    if host.scheme == "unix":
        return UnixConnection(host.path, timeout)
    if host.scheme in ("tcp", "http") and host.hostname and not os.environ.get("DOCKER_TLS_VERIFY"):
        return http.client.HTTPConnection(host.hostname, host.port or 2375, timeout=timeout)
    return None


def _remove_over_api(name: str) -> bool:
    """Ask the daemon itself; say whether the container is gone."""
    connection = docker_connection(30)
    if connection is None:
        return False
    with contextlib.closing(connection):
        connection.request("DELETE", f"/containers/{quote(name, safe='')}?force=true&v=true")
        return connection.getresponse().status in (204, 404)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _gone(group: int) -> bool:
    """Say whether the group's leader has ended: a zombie nobody collects counts as ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


if __name__ == "__main__":
    main()
