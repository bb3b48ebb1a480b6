"""pgbouncer, if it is installed, between a client and Postgres as our proxy is: TCP, session by session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from harness.wire.address import Address, address_of, lead_through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_START_SECONDS = 10.0
_SETTINGS = """\
[databases]
{database} = host={host} port={port} dbname={database} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 20
ignore_startup_parameters = extra_float_digits
"""


@contextlib.asynccontextmanager
async def bounced(url: str) -> AsyncIterator[str | None]:
    """Yield the URL of the same database through pgbouncer; ``None`` when it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        yield None
        return
    listen = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "pgbouncer.ini"
        settings.touch(mode=0o600)
        settings.write_text(_settings(url, listen))
        # It does not run as root, and reads its settings before it becomes somebody else.
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            program, "-q", *user, str(settings), start_new_session=True, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _listening(listen)
            yield lead_through(url, Address("127.0.0.1", listen))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _settings(url: str, listen: int) -> str:
    parts, address = urlsplit(url), address_of(url)
    return _SETTINGS.format(
        database=parts.path.strip("/"),
        host=address.host,
        port=address.port,
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or "").replace("'", "''"),
        listen=listen,
    )


def _free_port() -> int:
    """Ask the kernel, since pgbouncer cannot: another process may take it meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def _listening(port: int) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
