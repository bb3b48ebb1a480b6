"""What the Postgres tests share: scripted peers, child processes, and bounded waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.postgres import connect, provision
from tests.turns import await_end, next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from harness.postgres import Server

    Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LIMIT = 60.0
"""Seconds anything may take before a test gives up."""


def is_running(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextlib.asynccontextmanager
async def peer(behave: Peer) -> AsyncIterator[int]:
    """Listen on a port and let a script deal with whoever connects; yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await behave(reader, writer)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, and never say a word."""
    while await reader.read(1024):
        pass


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as something that is no Postgres."""
    await reader.read(8)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    await writer.drain()
    await silence(reader, writer)


async def postgres_9_6(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let anybody in as a PostgreSQL 9.6 would, then answer nothing."""
    length, code = struct.unpack("!ii", await reader.readexactly(8))
    if code == 80877103:  # SSLRequest
        writer.write(b"N")
        length, code = struct.unpack("!ii", await reader.readexactly(8))
    await reader.readexactly(length - 8)
    writer.write(_message(b"R", struct.pack("!i", 0)))
    for name, value in (("server_version", "9.6.24"), ("client_encoding", "UTF8"), ("TimeZone", "UTC")):
        writer.write(_message(b"S", f"{name}\0{value}\0".encode()))
    writer.write(_message(b"Z", b"I"))
    await writer.drain()
    await silence(reader, writer)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def as_user(url: str, name: str, password: str) -> str:
    """Return the same URL for somebody else."""
    return url.replace(url.split("//")[1].split("@")[0], f"{name}:{password}")


@dataclass
class OwnServer:
    """A server that a test may stop, crash and start again."""

    server: Server
    _again: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its ``postgres`` database."""
        return self.server.url("postgres")

    async def restart(self, **settings: object) -> None:
        """Stop it in an orderly way, and start it again with the same settings but these."""
        connection = await connect(self.url)
        lock = await connection.fetchval("SELECT pg_read_file('postmaster.pid')")
        await connection.close()
        await asyncio.to_thread(self._restart, Path(f"/proc/{int(lock.split()[0])}"), settings)
        await self._answers()

    def _restart(self, process: Path, settings: Mapping[str, object]) -> None:
        command = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
        program, folder, owner = (process / "exe").readlink(), (process / "cwd").readlink(), process.stat()
        pid = int(process.name)
        os.kill(pid, signal.SIGINT)
        await_end(pid, timeout=LIMIT)
        if self._again is not None:
            self._again.wait()
        more = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        ours = owner.st_uid == os.geteuid()
        self._again = subprocess.Popen(
            [str(program), *command[1:], *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
            user=None if ours else owner.st_uid,
            group=None if ours else owner.st_gid,
            extra_groups=None if ours else [],
        )

    async def crash(self) -> None:
        """Kill a session, at which the server ends all others and recovers."""
        connection = await connect(self.url)
        os.kill(connection.get_server_pid(), signal.SIGKILL)
        async with asyncio.timeout(LIMIT):
            while not connection.is_closed():
                await next_turn()
        await self._answers()

    def stop(self) -> None:
        """Stop it, if it was started again: what was started first has ended."""
        if self._again is not None:
            self._again.send_signal(signal.SIGQUIT)
            self._again.wait(timeout=LIMIT)

    async def _answers(self) -> None:
        async with asyncio.timeout(LIMIT):
            while True:
                with contextlib.suppress(UsageError):
                    (await connect(self.url)).terminate()
                    return


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[OwnServer]:
    """Run a server for the length of a block."""
    async with provision("embedded") as server:
        own = OwnServer(server)
        try:
            yield own
        finally:
            own.stop()


_CHILD = """
import asyncio, contextlib, json, os, sys
from pathlib import Path
from harness.postgres import connect, provision

async def facts(server):
    connection = await connect(server.url("postgres"))
    try:
        return await connection.fetchrow(
            "SELECT current_setting('data_directory') AS data, pg_read_file('postmaster.pid') AS lock,"
            "pg_read_file('/etc/hostname', true) AS host")
    finally:
        await connection.close()

def guardians():
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and "_guardian.py" in (process / "cmdline").read_text():
                yield int(process.name)

async def main(choice, image, ending):
    async with provision(choice, image=image or None) as server:
        async with server.empty("child"):
            found = await facts(server)
            print(json.dumps({"data": found["data"], "postmaster": int(found["lock"].split()[0]),
                              "host": found["host"].strip(), "kind": server.kind,
                              "guardians": list(guardians())}), flush=True)
            if ending == "raise":
                raise RuntimeError("on purpose")
            if ending == "wait":
                await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass(frozen=True)
class Child:
    """A process of ours with a server of its own."""

    process: subprocess.Popen[str]
    kind: str
    data: Path
    postmaster: int
    host: str
    guardians: tuple[int, ...]
    """The processes that clean up after it, however it ends."""

    @property
    def folder(self) -> Path:
        """The private folder around the data folder."""
        return self.data.parent

    def ended(self) -> int:
        """Wait until it and whoever cleans up after it have ended, and return its exit code."""
        code = self.process.wait(timeout=LIMIT)
        for guardian in self.guardians:
            await_end(guardian, timeout=LIMIT)
        return code


@contextlib.contextmanager
def child(choice: str, ending: str, *, image: str = "") -> Iterator[Child]:
    """Run a process that brings up a server; it then returns, raises or waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, choice, image, ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        facts: dict[str, Any] = json.loads(line)
        yield Child(
            process,
            facts["kind"],
            Path(facts["data"]),
            facts["postmaster"],
            facts["host"],
            tuple(facts["guardians"]),
        )
    finally:
        process.kill()
        process.communicate(timeout=LIMIT)
