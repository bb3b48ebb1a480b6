"""The eight designs as targets: in this process through two drivers, and as a service of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg2

from harness.model import Answer, Books, Entry, Feature, Outcome, Reserve, Stock
from harness.postgres import connect
from harness.targets._http_client import Address, HttpConnection
from tests.exploring.cases.designs import DESIGNS, SCHEMA, Design
from tests.exploring.cases.drivers import through_asyncpg, through_psycopg2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from harness.model import Client, Gate, Operation, TicketType

DRIVERS = ("asyncpg", "psycopg2", "http")
_READY = 30.0


@dataclass(frozen=True)
class CaseTarget:
    """One design through one driver."""

    design: Design
    driver: str

    @property
    def name(self) -> str:
        return f"{self.design.name} through {self.driver}"

    @property
    def supports(self) -> frozenset[Feature]:
        return frozenset({Feature.RESERVE})

    async def install(self, database: str) -> None:
        db = await connect(database)
        try:
            await db.execute(SCHEMA)
        finally:
            await db.close()

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningCase]:  # noqa: ARG002  # no logs
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(_service(database)) if self.driver == "http" else ""
            db = await connect(database)
            stack.callback(db.terminate)
            yield RunningCase(self, database, url, db)


@dataclass
class RunningCase:
    """A design on one database."""

    target: CaseTarget
    database: str
    url: str
    db: Any

    async def connect(self, name: str) -> Client:  # noqa: ARG002  # one is like another
        match self.target.driver:
            case "http":
                connection = HttpConnection(Address.parse(self.url))
                await connection.open()
                return HttpBuyer(self.target.design, connection)
            case "psycopg2":
                db = await asyncio.to_thread(psycopg2.connect, self.database)
                db.autocommit = True
                return Psycopg2Buyer(self.target.design, db)
            case _:
                return AsyncpgBuyer(self.target.design, await connect(self.database))

    async def open_sale(self, tickets: Sequence[TicketType]) -> dict[str, int]:
        insert = "INSERT INTO tickets (initial, remaining) VALUES ($1, $1) RETURNING id"
        return {ticket.name: await self.db.fetchval(insert, ticket.initial) for ticket in tickets}

    async def books(self, sale: dict[str, int]) -> Books:
        names = {number: name for name, number in sale.items()}
        rows = await self.db.fetch(
            "SELECT t.id, t.initial, t.remaining, s.id AS sale, s.person"
            " FROM tickets t LEFT JOIN sales s ON s.ticket = t.id WHERE t.id = ANY ($1) ORDER BY t.id, s.id",
            list(names),
        )
        counts = self.target.design.counts
        stock = {
            row["id"]: Stock(
                ticket=names[row["id"]],
                initial=row["initial"],
                remaining=row["remaining"] if counts else None,
            )
            for row in rows
        }
        entries = tuple(
            Entry(ticket=names[row["id"]], person=row["person"]) for row in rows if row["sale"] is not None
        )
        return Books(stock=tuple(stock.values()), entries=entries)


@dataclass
class AsyncpgBuyer:
    """A connection of asyncpg."""

    design: Design
    db: Any

    async def perform(self, sale: dict[str, int], operation: Operation, gate: Gate) -> Answer:
        await gate()
        assert isinstance(operation, Reserve)
        statements = self.design.buy(sale[operation.ticket], operation.person)
        return Answer(await through_asyncpg(self.db, statements))

    async def close(self) -> None:
        async with asyncio.timeout(5):
            await self.db.close()

    def abandon(self) -> None:
        self.db.terminate()


@dataclass
class Psycopg2Buyer:
    """A blocking connection of psycopg2, used in a thread."""

    design: Design
    db: Any

    async def perform(self, sale: dict[str, int], operation: Operation, gate: Gate) -> Answer:
        await gate()
        assert isinstance(operation, Reserve)
        statements = self.design.buy(sale[operation.ticket], operation.person)
        return Answer(await asyncio.to_thread(through_psycopg2, self.db, statements))

    async def close(self) -> None:
        self.db.close()

    def abandon(self) -> None:
        self.db.close()


@dataclass
class HttpBuyer:
    """A connection to the service."""

    design: Design
    connection: HttpConnection

    async def perform(self, sale: dict[str, int], operation: Operation, gate: Gate) -> Answer:
        assert isinstance(operation, Reserve)
        path = f"/{self.design.name}?ticket={sale[operation.ticket]}&person={operation.person}"
        answer = await self.connection.request("POST", path, gate=gate)
        return Answer(Outcome.ACCEPTED if answer.status == 200 else Outcome.SOLD_OUT)

    async def close(self) -> None:
        self.connection.abort()

    def abandon(self) -> None:
        self.connection.abort()


@contextlib.asynccontextmanager
async def _service(database: str) -> AsyncIterator[str]:
    """Run the service for the length of a block and yield its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.exploring.cases.service",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(_READY):
            line = await process.stdout.readline()
        assert line, "the service ended before it was ready"
        yield line.decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def case(name: str, driver: str) -> CaseTarget:
    return CaseTarget(DESIGNS[name], driver)
