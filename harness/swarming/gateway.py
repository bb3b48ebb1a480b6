"""The gateway: any running target, served under the contract of ``docs/service.md``.

A swarm speaks HTTP. Targets that do not are served here, in the engine's process: each request becomes one
operation on a client of a pool. The pool is the only thing between a buyer and the target, so as many
operations are under way at a time as there are clients, and whatever goes wrong between them goes wrong here
as well.

A request says less than an operation; :mod:`harness.swarming.naming` knows the rest. A buyer who goes away
changes nothing: what was asked for runs to its end, or to its time-out. Then the client is abandoned and
replaced, and the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from harness.contract.serving import Refusal, availability, operation_of, response_of
from harness.driving.program import describe
from harness.model import Outcome, ReadAvailability, not_offered
from harness.model.operations import features_of
from harness.postgres.server import finish
from harness.swarming.naming import KnownSales
from harness.swarming.pool import Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from harness.contract.serving import Response
    from harness.load.plan import Tickets
    from harness.model import Feature, Running, TicketType

    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]

TIMEOUT = 10.0
"""Seconds a request waits for a client, and again seconds for the target's answer."""
LARGEST_BODY = 64 * 1024
_IDLE = 3600
"""Seconds that a connection may be idle. Buyers who pause must not find theirs closed at that very moment."""
_STOP = 2
"""Seconds for the last answers to leave at the end."""

_HEALTHY: Response = (200, {"success": True})
_TOO_LARGE = Refusal(413, "too_large", f"A body has at most {LARGEST_BODY} bytes.")
_ENDED = Refusal(500, "outcome_unknown", "The load has ended: this may or may not have been done.")


@contextlib.asynccontextmanager
async def gateway(
    running: Running, supports: frozenset[Feature], *, clients: int, timeout: float = TIMEOUT
) -> AsyncIterator[Gateway]:
    """Serve a running target on this machine for the length of a block.

    :param running: guarded, see :mod:`harness.driving.guard`.
    :param supports: what the target can do; the rest is refused as not offered.
    :param clients: how many operations may be under way at a time.
    :param timeout: seconds for a client to come free, and again seconds for an answer.
    :raises TargetFailedError: when a client cannot be connected.
    """
    pool = Pool(running, timeout)
    try:
        await pool.fill(clients)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # asyncio does this for sockets it makes itself, and they hand it on to every connection.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            served = Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", supports, pool)
            async with _serving(served, listener):
                yield served
    finally:
        pool.abandon()


class Gateway:
    """The HTTP side of a target: an ASGI application that knows the sales that are on."""

    def __init__(self, url: str, supports: frozenset[Feature], pool: Pool) -> None:
        self.url = url
        """Where it is, without a slash at the end."""
        self._supports = supports
        self._pool = pool
        self._sales = KnownSales()
        self._requests: set[asyncio.Task[Any]] = set()
        self._ended = False

    @property
    def fault(self) -> str | None:
        """Say why the target takes no new client, if that is so at this moment."""
        return self._pool.fault

    def opened(self, number: int, sale: Any, tickets: Sequence[TicketType]) -> Tickets:
        """Let buyers visit a sale that the target has opened.

        :param number: the sale's number in the run.
        :param sale: what the target's ``open_sale`` returned.
        :returns: the ids of event and ticket type under which it is asked for, by the ticket type's name.
        """
        return self._sales.opened(number, sale, tickets)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("requests are served in tasks")
        self._requests.add(task)
        try:
            response = await self._answer(scope, receive)
        except asyncio.CancelledError:
            response = _ENDED.response
        except Exception as error:
            # A bug of ours, or of a target's that is not guarded. It may have been done.
            response = Refusal(500, "internal", describe(error)).response
        finally:
            self._requests.discard(task)
        if response is not None:
            await _respond(send, *response)

    async def end(self) -> None:
        """Answer what is still under way, and all that comes, with not knowing."""
        self._ended = True
        while self._requests:
            for task in self._requests:
                task.cancel()
            await asyncio.wait(tuple(self._requests))

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> Response | None:
        """Return the response; ``None`` when nobody is there to read it, and nothing was done."""
        body = await _body(receive)
        if body is None:
            return None
        if self._ended:
            return _ENDED.response
        if len(body) > LARGEST_BODY:
            return _TOO_LARGE.response
        path = scope["raw_path"].decode("latin-1")
        if path == "/healthz":
            return _HEALTHY
        return await self._perform(scope["method"], path, scope["query_string"].decode("latin-1"), body)

    async def _perform(self, method: str, path: str, query: str, body: bytes) -> Response:
        """Have done what is asked for, if it can be asked for."""
        asked = operation_of(method, path, query, body)
        if isinstance(asked, Refusal):
            return asked.response
        found = self._sales.find(asked)
        if isinstance(found, Refusal):
            return found.response
        operations = tuple(found.operations.values())
        if not all(features_of(operation) <= self._supports for operation in operations):
            return response_of(asked, not_offered(operations[0]))
        answers = await self._pool.perform(found.sale.sale, operations)
        for operation, answer in zip(operations, answers, strict=False):
            found.sale.note(operation, answer)
        if answers[-1].outcome is Outcome.ACCEPTED and isinstance(asked.operation, ReadAvailability):
            return availability(
                {ticket: each.remaining for ticket, each in zip(found.operations, answers, strict=True)}
            )
        return response_of(asked, answers[-1])


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to whoever called it."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(served: Gateway, listener: socket.socket) -> AsyncIterator[None]:
    """Accept connections for the length of a block; none is left open at its end."""
    ready = asyncio.Event()
    config = uvicorn.Config(
        served,
        interface="asgi3",
        proxy_headers=False,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_STOP,
    )
    server = _Server(config, ready)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    told = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        told.cancel()
        server.should_exit = True
        await finish(_ended(served, serving))


async def _ended(served: Gateway, serving: asyncio.Task[None]) -> None:
    await served.end()
    await serving


async def _body(receive: Receive) -> bytes | None:
    """Return the body, or as much of it as is too large; ``None`` when the client left before its end."""
    parts: list[bytes] = []
    size = 0
    while size <= LARGEST_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)


async def _respond(send: Send, status: int, data: Mapping[str, Any]) -> None:
    content = json.dumps(data).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
