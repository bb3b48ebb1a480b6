"""A shop that speaks the contract: the sequential specification behind the smallest HTTP server there is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.contract.serving import Asked, Refusal, operation_of, response_of
from harness.model import Cancel, Confirm, ReadAvailability, Refund, Release, TicketType
from harness.model.sequential import State, opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from harness.model import Operation

EVENT = "7"


@dataclass(slots=True)
class Shop:
    """What is sold, and what was asked for. Ticket types are named by their ids."""

    state: State
    url: str = ""
    asked: list[Operation] = field(default_factory=list)
    broken: str = ""
    """``closes``: a request is done and the connection closed; ``fails``: 500; ``cuts``: half an answer;
    ``leaves``: the connection is closed after the answer, which does not say so."""
    delay: float = 0.0
    """Seconds that each answer takes."""
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set nothing is answered. Set at first."""
    withheld: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Released for each answer that is not given yet."""
    connections: int = 0

    @property
    def tickets(self) -> dict[str, tuple[str, str]]:
        """What buyers are told is on sale."""
        return {ticket.name: (EVENT, ticket.name) for ticket in self.state.tickets}

    def respond(self, method: str, target: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """Do what a request asks for."""
        path, _, query = target.partition("?")
        asked = operation_of(method, path, query, body)
        if isinstance(asked, Refusal):
            return asked.response
        asked = self._known(asked)
        self.asked.append(asked.operation)
        self.state, answer = self.state.apply(asked.operation)
        return response_of(asked, answer)

    def _known(self, asked: Asked) -> Asked:
        """Fill in what a request leaves out."""
        rows = {entry.reservation: entry for entry in self.state.standing | self.state.held}
        match asked.operation:
            case Cancel(reservation=name) | Refund(reservation=name) if name in rows:
                entry = rows[name]
                known: Operation = replace(asked.operation, ticket=entry.ticket, person=entry.person)
            case Confirm(hold=name) | Release(hold=name) if name in rows:
                entry = rows[name]
                known = replace(asked.operation, ticket=entry.ticket, person=entry.person)
            case ReadAvailability():
                (ticket,) = self.state.tickets
                known = replace(asked.operation, ticket=ticket.name)
            case _:
                known = asked.operation
        return Asked(known, asked.event, asked.ticket or known.ticket)


@contextlib.asynccontextmanager
async def selling(**stock: int) -> AsyncIterator[Shop]:
    """Serve a shop on a port of the kernel's choosing."""
    shop = Shop(opening([TicketType(name=name, initial=initial) for name, initial in stock.items()]))
    shop.silent.set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        shop.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await _serve_one(shop, reader, writer):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    shop.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield shop
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def _serve_one(shop: Shop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Answer one request; say whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    status, data = shop.respond(method, target, body)
    if shop.delay:
        await asyncio.sleep(shop.delay)
    # Nothing comes between the two: what is counted is exactly what waits.
    if not shop.silent.is_set():
        shop.withheld.release()
    await shop.silent.wait()
    if shop.broken == "closes":
        return False
    content = json.dumps(data).encode()
    if shop.broken == "fails":
        status, content = 500, b"oh"
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
    if shop.broken == "cuts":
        writer.write(answer[:-3])
        return False
    writer.write(answer)
    if shop.broken != "leaves":
        await writer.drain()
    return shop.broken != "leaves"
