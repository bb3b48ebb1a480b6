"""The proxy between an application and Postgres: the one place here that does I/O.

A *link* is one client connection and the connection to Postgres made for it. Without a controller a link
passes bytes on as they come and only looks at message headers. Under control it goes through a
:class:`~harness.wire.schedule.Schedule`. A link changes from one to the other when its session is at rest,
so a controller can come and go while sessions stay open.

Waits are bounded: for the startup packet, for the connection to Postgres, for the TLS handshake, for a
cancel request, and for connections to close at exit. A session as such may be idle for ever, and a point
waits as long as its controller does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from harness.wire import messages as m
from harness.wire.address import Address, lead_through
from harness.wire.control import PROCEED
from harness.wire.framing import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    SSL_REQUEST,
    Framer,
    Opening,
    OpeningFramer,
    ProtocolError,
    Side,
)
from harness.wire.schedule import BACKEND, FRONTEND, Executed, Moment, Point, Schedule
from harness.wire.session import PASS_BACKEND, PASS_FRONTEND, Session
from harness.wire.tls import self_made_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from harness.wire.control import Controller, Decision, SessionInfo

_STARTUP_SECONDS = 60.0
_READ_SIZE = 65_536
_QUEUE_LIMIT = 4_000_000


class Proxy:
    """A server on 127.0.0.1 in front of one Postgres.

    :param upstream: where Postgres listens. The connection there is never encrypted.
    :param controller: who schedules from the start; see :meth:`controlled` for later.
    :param tls: serve clients that ask for encryption with a self-made certificate instead of refusing it.
        Channel binding is never offered, since the certificate is not the server's.
    :param isolation: default isolation level of every session, such as ``repeatable read``.
    :param unix_folder: also listen on a Unix socket in this folder, named after the port.
    :param timeout: seconds for each connection to Postgres, and for closing everything at exit.
    """

    def __init__(
        self,
        upstream: Address,
        *,
        controller: Controller | None = None,
        tls: bool = False,
        isolation: str | None = None,
        unix_folder: Path | None = None,
        timeout: float = 10,
    ) -> None:
        self.upstream = upstream
        self.timeout = timeout
        self.isolation = isolation
        self.troubles: list[str] = []
        """What went wrong with connections, one line each."""
        self._controller = controller
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._unix_folder = unix_folder
        self._servers: list[asyncio.Server] = []
        self._links: set[_Link] = set()
        self._opened = 0
        self._failure: Exception | None = None
        self.address = Address("127.0.0.1", 0)
        """Where the proxy listens; the port is known once it does."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._tls:
            self._context = await asyncio.to_thread(self_made_context)
        server = await loop.create_server(lambda: _Link(self).client, "127.0.0.1", 0)
        self._servers.append(server)
        self.address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        if self._unix_folder is not None:
            path = Address(str(self._unix_folder), self.address.port).socket
            try:
                self._servers.append(await loop.create_unix_server(lambda: _Link(self).client, path))
            except OSError:
                server.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        if self._unix_folder is not None:
            with contextlib.suppress(FileNotFoundError):
                (self._unix_folder / f".s.PGSQL.{self.address.port}").unlink()
        for link in tuple(self._links):
            link.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timeout):
                while self._links:
                    await asyncio.gather(*(link.closed.wait() for link in self._links))
        self._raise_failure()

    def url(self, url: str) -> str:
        """Return a URL of the Postgres behind, led through this proxy."""
        return lead_through(url, self.address)

    @property
    def sessions(self) -> Sequence[SessionInfo]:
        """The sessions that are open and ready, in the order they were opened."""
        ready = [link.session for link in self._links if link.session and link.session.pid]
        return [session.info for session in sorted(ready, key=lambda session: session.number)]

    @property
    def controller(self) -> Controller | None:
        """Who schedules; ``None`` when everything passes."""
        return self._controller

    @asynccontextmanager
    async def controlled(self, controller: Controller) -> AsyncIterator[None]:
        """Put all sessions, those now open and those to come, under a controller.

        A session comes under control when it is at rest, which for an idle one is now. On leaving, whatever
        is held goes on by itself, and each session passes freely again once it is at rest.

        :raises RuntimeError: when there is a controller already.
        :raises Exception: on leaving, what the controller itself raised; the session was cut when it did.
        """
        if self._controller is not None:
            raise RuntimeError("the proxy has a controller already")
        self._controller = controller
        for link in tuple(self._links):
            link.control()
        try:
            yield
        finally:
            self._controller = None
            for link in tuple(self._links):
                link.let_go()
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    # For links.

    def joined(self, link: _Link) -> ssl.SSLContext | None:
        """Take note of a link, and return what it can offer to clients that ask for TLS."""
        self._links.add(link)
        return self._context

    def left(self, link: _Link) -> None:
        """Take note that a link is closed."""
        self._links.discard(link)

    def next_number(self) -> int:
        """Count one more session."""
        self._opened += 1
        return self._opened

    def controller_failed(self, failure: Exception) -> None:
        """Keep what a controller raised, to be raised where it was set."""
        self._failure = self._failure or failure


class _Half(asyncio.BufferedProtocol):
    """One of the two connections of a link. It only hands on what happens to it."""

    def __init__(self, link: _Link, receive: Callable[[bytes], None]) -> None:
        self.link = link
        self.receive = receive
        self.transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_READ_SIZE))
        self.other: _Half | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.link.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read into: one buffer for good, since allocating one per read costs more."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.receive(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        return self.link.ended(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True
        self.link.lost(self)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.resume()

    def pause(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and not self.lost:
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Close once everything written has left."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Link:
    """A client connection, the connection to Postgres made for it, and the session between them."""

    def __init__(self, proxy: Proxy) -> None:
        self.session: Session | None = None
        self.closed = asyncio.Event()
        self.client = _Half(self, self._opening)
        self._proxy = proxy
        self._server = _Half(self, self._pass_server)
        self._context: ssl.SSLContext | None = None
        self._openings = OpeningFramer()
        self._front = Framer(Side.FRONTEND, PASS_FRONTEND)
        self._back = Framer(Side.BACKEND, PASS_BACKEND)
        self._schedule: Schedule | None = None
        self._asking: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._told: Controller | None = None
        self._connected = False
        self._client_gone = False

    # Life.

    def made(self, half: _Half) -> None:
        """A connection stands."""
        if half is self.client:
            self._context = self._proxy.joined(self)
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(_STARTUP_SECONDS, self.abort)

    def ended(self, half: _Half) -> bool:
        """A peer will send no more; say whether the connection stays open to write to."""
        if half is self._server or not self._connected:
            return False
        self._client_gone = True
        if self._schedule is None or self._schedule.idle:
            self._end_server()
        return half.transport is not None and half.transport.get_extra_info("ssl_object") is None

    def lost(self, half: _Half) -> None:
        """A connection is gone."""
        if half is self._server:
            self._server_lost()
        elif not self._connected:
            self._finish()
        else:
            self._client_gone = True
            if self._schedule is None or self._schedule.idle:
                self._server.close()
        if self.client.lost and (self._server.lost or not self._connected):
            self._finish()

    def abort(self) -> None:
        """Break both connections now."""
        self.client.abort()
        self._server.abort()
        if self._task is not None:
            self._task.cancel()
        if self.client.transport is None:
            self._finish()

    def _server_lost(self) -> None:
        if self._schedule is not None:
            self._schedule.lost()
            self._tell()
        self._stop_asking()
        self.client.close()

    def _end_server(self) -> None:
        transport = self._server.transport
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    def _finish(self) -> None:
        if self.closed.is_set():
            return
        self.closed.set()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._task is not None:
            self._task.cancel()
        self._stop_asking()
        if self._told is not None and self._told is self._proxy.controller and self.session is not None:
            self._call(self._told.session_closed, self.session.info)
        self._proxy.left(self)

    def _fail(self, error: ProtocolError) -> None:
        """Tell the client why, and close."""
        self._proxy.troubles.append(str(error))
        self.client.write(m.ErrorResponse.make("08P01", str(error), "FATAL").encode())
        if self._schedule is not None:
            self._schedule.lost()
            self._tell()
        self._server.abort()
        self.client.close()
        if self._task is not None:
            self._task.cancel()

    # Opening.

    def _opening(self, data: bytes) -> None:
        try:
            packet = self._openings.feed(data)
            while packet is not None and self._answer_opening(packet):
                packet = self._openings.feed(b"")
        except ProtocolError as error:
            self._fail(error)

    def _answer_opening(self, packet: Opening) -> bool:
        """Answer one opening packet, and say whether another may follow."""
        if packet.code == GSSENC_REQUEST or (packet.code == SSL_REQUEST and self._context is None):
            self.client.write(b"N")
            return True
        if packet.code == SSL_REQUEST:
            if self._openings.rest():
                raise ProtocolError("The client sent unencrypted data after asking for encryption.")
            self._start(self._encrypt())
            return False
        self.client.receive = self._openings.keep
        if packet.code == CANCEL_REQUEST:
            self._start(self._cancel(packet))
        else:
            self._start(self._connect(self._startup(packet), self._task))
        return False

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    async def _encrypt(self) -> None:
        loop = asyncio.get_running_loop()
        plain, context = self.client.transport, self._context
        if plain is None or context is None:
            return
        plain.write(b"S")
        self._context = None  # One layer is enough; a second request is refused.
        try:
            self.client.transport = await loop.start_tls(
                plain, self.client, context, server_side=True, ssl_handshake_timeout=self._proxy.timeout
            )
        except (OSError, EOFError) as error:
            self._proxy.troubles.append(f"A client failed in its TLS handshake: {type(error).__name__}.")
            plain.abort()
            self._finish()

    def _startup(self, packet: Opening) -> bytes:
        startup = m.Startup.decode(packet)
        parameters = dict(startup.parameters)
        if self._proxy.isolation is not None and "replication" not in parameters:
            level = self._proxy.isolation.lower().replace(" ", "\\ ")
            option = f"-c default_transaction_isolation={level}"
            parameters["options"] = f"{parameters.get('options', '')} {option}".strip()
        self.session = Session(self._proxy.next_number(), parameters)
        return (
            packet.data if parameters == startup.parameters else m.Startup(parameters, packet.code).encode()
        )

    async def _connect(self, startup: bytes, encrypting: asyncio.Task[None] | None) -> None:
        if encrypting is not None:
            await encrypting  # Until then the transport is not the one that reads.
        self.client.pause()
        try:
            await self._reach_server()
        except (OSError, TimeoutError) as error:
            reason = (
                type(error).__name__ if isinstance(error, TimeoutError) else os.strerror(error.errno or 0)
            )
            message = f"No Postgres answered at {self._proxy.upstream}: {reason}."
            self._proxy.troubles.append(message)
            self.client.write(m.ErrorResponse.make("08006", message, "FATAL").encode())
            self.client.close()
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._server.write(startup)
        self.client.receive = self._pass_client
        if rest := self._openings.rest():
            self._pass_client(rest)
        self.client.resume()

    async def _reach_server(self) -> None:
        loop = asyncio.get_running_loop()
        upstream = self._proxy.upstream
        async with asyncio.timeout(self._proxy.timeout):
            if upstream.socket is not None:
                await loop.create_unix_connection(lambda: self._server, upstream.socket)
            else:
                await loop.create_connection(lambda: self._server, upstream.host, upstream.port)
        self._connected = True
        self.client.other, self._server.other = self._server, self.client
        if self.client.lost:
            self._server.abort()

    async def _cancel(self, packet: Opening) -> None:
        """Hand a cancel request on. The server closes the connection once it has acted on it."""
        try:
            await self._reach_server()
        except (OSError, TimeoutError):
            self.client.close()
            return
        self._server.write(packet.data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._proxy.timeout):
                await self.closed.wait()
                return
        self.abort()

    # Passing.

    def _pass_client(self, data: bytes) -> None:
        try:
            for frame in self._front.feed(data):
                self._watch(Side.FRONTEND, frame)
        except ProtocolError as error:
            self._fail(error)
            return
        self._server.write(data)

    def _pass_server(self, data: bytes) -> None:
        try:
            frames = self._back.feed(data)
            for frame in frames:
                self._watch(Side.BACKEND, frame)
        except ProtocolError as error:
            self._fail(error)
            return
        self.client.write(data)
        if frames and self._proxy.controller is not None:
            self.control()

    def _watch(self, side: Side, frame: Any) -> None:
        if self.session is not None:
            self.session.observe(side, frame)

    # Scheduling.

    def control(self) -> None:
        """Come under control if the session is at rest."""
        session, controller = self.session, self._proxy.controller
        if controller is None or session is None or session.replicating or self._client_gone:
            return
        if self._schedule is None:
            if not (session.at_rest(self._front.last) and self._front.at_boundary and self._back.at_boundary):
                return
            self._front.handle_by(FRONTEND)
            self._back.handle_by(BACKEND)
            self._schedule = Schedule(session)
            self.client.receive, self._server.receive = self._scheduled_client, self._scheduled_server
        if self._told is not controller:
            self._told = controller
            self._call(controller.session_opened, session.info)

    def let_go(self) -> None:
        """Go on without a controller."""
        self._told = None
        self._stop_asking()
        if self._schedule is not None:
            self._settle()

    def _scheduled_client(self, data: bytes) -> None:
        schedule = self._schedule
        assert schedule is not None  # noqa: S101  # set together with this receiver
        try:
            for frame in self._front.feed(data):
                schedule.client_sent(frame)
            self._settle()
        except ProtocolError as error:
            self._fail(error)

    def _scheduled_server(self, data: bytes) -> None:
        schedule = self._schedule
        assert schedule is not None  # noqa: S101  # set together with this receiver
        try:
            for frame in self._back.feed(data):
                schedule.server_sent(frame)
            self._settle()
        except ProtocolError as error:
            self._fail(error)

    def _settle(self) -> None:
        """Do what the schedule says: tell, write, cut, ask, or let go."""
        schedule = self._schedule
        if schedule is None:
            return
        self._tell()
        while schedule.point is not None and self._asking is None:
            if self._proxy.controller is None:
                schedule.decide(PROCEED)
                self._tell()
            else:
                self._ask(schedule.point, self._proxy.controller)
        self._server.write(schedule.take_to_server())
        self.client.write(schedule.take_to_client())
        if schedule.cut:
            self.abort()
        elif self._client_gone and schedule.idle:
            self._end_server() if not self.client.lost else self._server.close()
        else:
            self._balance(schedule)
            self._pass_again(schedule)

    def _balance(self, schedule: Schedule) -> None:
        """Read no more from a client that is far ahead of its turn."""
        transport = self.client.transport
        if transport is None or self.client.lost or self._server.transport is None:
            return
        full = schedule.queued > _QUEUE_LIMIT
        if full and transport.is_reading():
            transport.pause_reading()
        elif not full and not transport.is_reading() and not self._server.transport.get_write_buffer_size():
            transport.resume_reading()

    def _pass_again(self, schedule: Schedule) -> None:
        free = self._proxy.controller is None and schedule.at_rest
        if free and self._front.at_boundary and self._back.at_boundary:
            self._schedule = None
            self._front.handle_by(PASS_FRONTEND)
            self._back.handle_by(PASS_BACKEND)
            self.client.receive, self._server.receive = self._pass_client, self._pass_server

    def _tell(self) -> None:
        schedule, controller = self._schedule, self._proxy.controller
        if schedule is None:
            return
        for event in schedule.take_events():
            if controller is not None and controller is self._told:
                tell = controller.executed if isinstance(event, Executed) else controller.finished
                self._call(tell, event.statement, event.result)

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as failure:  # noqa: BLE001, RUF100  # whatever it raises belongs to whoever set it
            self._proxy.controller_failed(failure)
            self.abort()

    def _ask(self, point: Point, controller: Controller) -> None:
        self._asking = asyncio.get_running_loop().create_task(self._decided(point, controller))

    async def _decided(self, point: Point, controller: Controller) -> None:
        ask = controller.before_execute if point.moment is Moment.BEFORE_EXECUTE else controller.before_commit
        try:
            decision: Decision = await ask(point.statement)
        except Exception as failure:  # noqa: BLE001, RUF100  # whatever it raises belongs to whoever set it
            self._proxy.controller_failed(failure)
            self.abort()
            return
        self._asking = None
        if self._schedule is None or self._schedule.point is not point:
            return
        try:
            self._schedule.decide(decision)
            self._settle()
        except ProtocolError as error:
            self._fail(error)

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
