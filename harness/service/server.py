"""Serving: a socket on a port the kernel chose, a pool behind it, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from harness.errors import UsageError
from harness.postgres import connect
from harness.postgres.server import finish
from harness.service.app import create_app
from harness.service.background import in_background
from harness.service.database import open_pool
from harness.service.demo import seed_demo
from harness.service.notices import hearing
from harness.service.settings import Settings
from harness.service.sweeping import sweep_for_ever
from harness.ticketing import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LONGEST_MESSAGE = 1024
"""Bytes of a message from a WebSocket; the only one that is understood has 15."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(
    database: str,
    *,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    host: str = "127.0.0.1",
    port: int = 0,
    settings: Settings | None = None,
) -> None:
    """Serve until told to stop, then finish the requests under way.

    :param database: the URL of a database that has the ticketing schema (see :func:`prepare`).
    :param ready: called once with the service's own URL, when connections are accepted.
    :param stop: ends the service when set.
    :param port: 0 lets the kernel choose a free one.
    :raises UsageError: when the database or the address cannot be had.
    """
    settings = settings or Settings()
    with _listening(host, port, settings) as listener:
        async with (
            open_pool(database, settings) as pool,
            hearing(database, settings) as notices,
            in_background(sweep_for_ever(pool, settings)),
        ):
            config = uvicorn.Config(
                create_app(pool, settings, notices),
                # Nobody is told who asked, so it need not be found out from behind a proxy.
                proxy_headers=False,
                ws="wsproto",
                ws_max_size=_LONGEST_MESSAGE,
                ws_ping_interval=settings.ping_every,
                ws_ping_timeout=settings.ping_every,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=round(settings.idle_wait),
                timeout_graceful_shutdown=max(1, round(settings.shutdown_wait)),
            )
            await _run(_Server(config, lambda: ready(_url(listener))), listener, stop)


async def prepare(database: str, *, migrations: bool = False, demo: bool = False) -> int | None:
    """Bring the database into shape, and return the number of the demo event when there is one.

    :param migrations: apply ``sql/`` first.
    :param demo: make sure that there is an event to look at.
    :raises UsageError: when the database cannot be reached.
    """
    connection = await connect(database)
    try:
        if migrations:
            await migrate(connection)
        return await seed_demo(connection) if demo else None
    finally:
        await connection.close()


@contextlib.contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and Ctrl-C set, as long as the block lasts."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready and leaves signals to whoever called it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # Who has taken nothing of what it was sent until now would hold on to its socket for ever.
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(list(sockets or ()))
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(server: uvicorn.Server, listener: socket.socket, stop: asyncio.Event) -> None:
    """Run uvicorn until told to stop, or cancelled; its sockets leave the event loop before it returns."""
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
        server.should_exit = True
        await finish(serving)


@contextlib.contextmanager
def _listening(host: str, port: int, settings: Settings) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((host, port), family=_family(host), reuse_port=False)
    except (OSError, OverflowError) as error:
        raise UsageError(f"Cannot listen on {host}:{port}: {error}. Port 0 takes any free one.") from error
    # asyncio does this for sockets it makes itself. Without it an answer's body waits for the client to
    # acknowledge its head, which a client may put off for 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Inherited by every connection: a peer that takes nothing of what it is sent loses it at last, where
        # closing alone would wait for the peer.
        wait = round(settings.stalled_wait * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, wait)
    with listener:
        yield listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
