"""A target as it is seen through the gateway: driven over HTTP, judged by its own books."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.contract.requests import SPOKEN
from harness.driving.guard import started
from harness.swarming.gateway import gateway
from harness.targets import _ticketing
from harness.targets._http_client import Address, HttpConnection
from harness.targets._http_live import LiveNumbers
from harness.targets.http import HttpClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from harness.model import Answer, Books, Feature, Gate, Operation, Running, Target, TicketType
    from harness.swarming.gateway import Gateway

CLIENTS = 12


@dataclass(frozen=True)
class Through:
    """The target behind a gateway, as a target."""

    target: Target

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.target.name} through the gateway"

    @property
    def supports(self) -> frozenset[Feature]:
        """What both can do."""
        return self.target.supports & SPOKEN

    async def install(self, database: str) -> None:
        """Load the target's schema."""
        await self.target.install(database)

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningThrough]:
        """Start the target, and a gateway to it."""
        async with (
            started(self.target, database, folder) as running,
            gateway(running, self.target.supports, clients=CLIENTS) as served,
        ):
            yield RunningThrough(running, served)


@dataclass(frozen=True)
class SaleThrough:
    """A sale as both sides call it."""

    inner: Any
    over_http: _ticketing.Sale


@dataclass
class RunningThrough:
    """A running target behind its gateway."""

    running: Running
    gateway: Gateway
    _opened: int = 0

    async def connect(self, name: str) -> ClientThrough:  # noqa: ARG002  # one connection is like another
        """Return a client that speaks HTTP."""
        address = Address.parse(self.gateway.url)
        client = HttpClient(
            HttpConnection(address), LiveNumbers(address), "postgresql://nobody@127.0.0.1:1/none"
        )
        await client.warm()
        return ClientThrough(client)

    async def open_sale(self, tickets: Sequence[TicketType]) -> SaleThrough:
        """Open a sale behind the gateway, and let it be asked for."""
        inner = await self.running.open_sale(tickets)
        ids = self.gateway.opened(self._opened, inner, tickets)
        self._opened += 1
        over_http = _ticketing.Sale(
            events={},
            tickets={name: ticket for name, (_, ticket) in ids.items()},
            event_of={name: int(event) for name, (event, _) in ids.items()},
        )
        return SaleThrough(inner, over_http)

    async def books(self, sale: SaleThrough) -> Books:
        """Read the target's own books."""
        return await self.running.books(sale.inner)


@dataclass
class ClientThrough:
    """A buyer who speaks HTTP."""

    client: HttpClient

    async def perform(self, sale: SaleThrough, operation: Operation, gate: Gate) -> Answer:
        """Do one operation through the gateway."""
        return await self.client.perform(sale.over_http, operation, gate)

    async def close(self) -> None:
        """Let go."""
        await self.client.close()

    def abandon(self) -> None:
        """Break the connection."""
        self.client.abandon()
