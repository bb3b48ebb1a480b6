"""Purchases per second of the reference service on one hot ticket, beside ``create_rsvp`` itself.

pgbench calls the function, and buyers on connections that are kept alive ask the service for the same, in
short turns on the same server. The median of each turn's ratio is what to keep: the parts of a turn share
whatever else the machine does.

Run: ``python -m benchmarks.service [seconds per part of a turn] [turns]``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import pgbench
from benchmarks.figures import HEAD, Measured
from harness.contract.requests import request_for
from harness.model import Reserve, TicketType
from harness.postgres import provision
from harness.targets.service import ServiceTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from harness.contract.requests import Ids
    from harness.targets._http_client import Address

CLIENTS = 16
"""Of pgbench."""
BUYERS = 64
"""Connections to the service, each with one request under way."""
STOCK = 100_000_000


@dataclass(frozen=True, slots=True)
class Shop:
    """The service at work, and the one ticket that everybody wants."""

    database: str
    address: Address
    ids: Ids


@dataclass(frozen=True, slots=True)
class Rates:
    """Purchases per second, one value of each per turn."""

    direct: tuple[float, ...]
    served: tuple[float, ...]

    def rows(self) -> list[Measured]:
        """Return both, and what share of the direct rate was left in the same turn."""
        shares = [served / direct for served, direct in zip(self.served, self.direct, strict=True)]
        return [
            Measured(f"create_rsvp: pgbench, {CLIENTS} clients", "/s", self.direct),
            Measured(f"the reference service: {BUYERS} connections", "/s", self.served),
            Measured("the reference service / create_rsvp", "", shares, "printed"),
        ]


async def measure(seconds: int = 5, turns: int = 5) -> Rates:
    """Measure both ways in turns."""
    direct: list[float] = []
    served: list[float] = []
    async with shop() as at:
        script = pgbench.PURCHASE.format(event=at.ids[0], ticket=at.ids[1])
        for turn in range(turns):
            direct.append(await pgbench.rate(script, at.database, clients=CLIENTS, seconds=seconds))
            served.append(await purchases(at, f"turn-{turn}", seconds))
    return Rates(tuple(direct), tuple(served))


@asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    """Start the service, and put one ticket on sale that never sells out."""
    target = ServiceTarget()
    async with provision("embedded") as server, server.empty("service") as database:
        await target.install(database)
        with tempfile.TemporaryDirectory() as folder:
            async with target.start(database, Path(folder)) as running:
                running.expose()
                sale = await running.open_sale([TicketType(name="hot", initial=STOCK)])
                yield Shop(database, running.address, running.contract_ids(sale)["hot"])


async def purchases(at: Shop, turn: str, seconds: float) -> float:
    """Return how many purchases a second buyers on so many connections make; each buys for somebody new."""
    until = time.monotonic() + seconds
    buyers = [
        await at.address.connect(
            partial(Buyer, _requests(at, f"{turn}-{number}"), lambda: time.monotonic() < until)
        )
        for number in range(BUYERS)
    ]
    begun = time.monotonic()
    for buyer in buyers:
        buyer.buy()
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(buyer.done for buyer in buyers))
    took = time.monotonic() - begun
    return sum(buyer.bought for buyer in buyers) / took


class Buyer(asyncio.Protocol):
    """One connection: a request, its answer, and the next request.

    It reads no more of an answer than it must, so that the load costs little beside what it measures.
    """

    def __init__(self, request: Callable[[], bytes], goes_on: Callable[[], bool]) -> None:
        self.bought = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._goes_on = goes_on
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def buy(self) -> None:
        """Send the next request."""
        assert self._transport is not None
        self._transport.write(self._request())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count an answer once all of it is there, and go on."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not end or length is None or len(body) < int(length.group(1)):
            return
        if not head.startswith(b"HTTP/1.1 201 "):
            self._end(AssertionError(self._received.decode()))
            return
        self.bought += 1
        self._received = b""
        if self._goes_on():
            self.buy()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; the service must not close a connection."""
        self._end(exc or AssertionError("the service closed a connection"))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        if self._transport is not None:
            self._transport.abort()


def _requests(at: Shop, who: str) -> Callable[[], bytes]:
    """Return what makes one request after the other, each for somebody new."""
    made = 0

    def request() -> bytes:
        nonlocal made
        made += 1
        asked = request_for(Reserve(ticket="hot", person=f"{who}-{made}"), at.ids)
        assert asked is not None
        body = json.dumps(asked.body).encode()
        head = (
            f"{asked.method} {asked.path} HTTP/1.1\r\nHost: {at.address.authority}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    return request


def measured(quick: bool) -> Iterator[Measured]:
    """Yield the figures."""
    yield from asyncio.run(measure(2 if quick else 5, 2 if quick else 5)).rows()


def main() -> None:
    """Measure, and print."""
    seconds, turns = (int(argument) for argument in (*sys.argv[1:3], *("5", "5")[len(sys.argv) - 1 :]))
    print(f"{turns} turns of {seconds} s each way\n\n{HEAD}")
    for row in asyncio.run(measure(seconds, turns)).rows():
        print(row.row())


if __name__ == "__main__":
    main()
