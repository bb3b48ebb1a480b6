"""A shop of your own, judged: ``oversell check --target examples.asyncpg_shop:Shop``.

Everything a target needs is in this one file. It sells tickets over asyncpg and keeps a counter and a row for
every sale, as most shops do. Copy it, put your own SQL (or calls to your own code) into ``buy``, and see what
comes of it. Take ``AND remaining > 0`` out, for instance, and run it again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from harness.model import Answer, Books, Entry, Feature, Outcome, Reserve, Stock
from harness.model.ledger import Ledger, RowsTable, StockTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.model import Gate, Operation, TicketType

SCHEMA = """
    CREATE SEQUENCE events;
    CREATE TABLE tickets (
        id serial PRIMARY KEY, event bigint, name text, initial integer, remaining integer
    );
    CREATE TABLE sales (
        id serial PRIMARY KEY,
        event bigint NOT NULL,
        ticket integer NOT NULL REFERENCES tickets,
        buyer text NOT NULL,
        UNIQUE (event, buyer)
    );
"""

Ids = dict[str, int]
"""The shop's own ids of what is on sale, by the scenario's names. What names a sale is up to the target."""


class Shop:
    """What ``--target`` names: it loads the schema, and is started on a copy of it for every check."""

    name = "asyncpg shop"
    supports = frozenset({Feature.RESERVE, Feature.DISCONNECT})
    """Scenarios that need more, such as cancelling, are listed as not run."""
    ledger = Ledger(
        stock=(StockTable(table="public.tickets", ticket="id", remaining="remaining", capacity="initial"),),
        rows=(RowsTable(table="public.sales", ticket="ticket", person="buyer"),),
    )
    """Where its stock is, so that every commit can be judged. May be left out."""

    async def install(self, database: str) -> None:
        """Load the schema into an empty database."""
        connection = await asyncpg.connect(database)
        await connection.execute(SCHEMA)
        await connection.close()

    @contextlib.asynccontextmanager
    async def start(self, database: str, folder: Path) -> AsyncIterator[RunningShop]:  # noqa: ARG002  # no logs
        """Connect to a copy of that database. A service would be started here, with its log in ``folder``."""
        connection = await asyncpg.connect(database)
        try:
            yield RunningShop(database, connection)
        finally:
            await connection.close()


@dataclass
class RunningShop:
    """The shop on one database: how to get in, how to put tickets on sale, how to read the books."""

    database: str
    connection: asyncpg.Connection

    async def connect(self, name: str) -> Customer:  # noqa: ARG002  # one customer is like another
        """Return a customer with a connection of their own."""
        return Customer(await asyncpg.connect(self.database))

    async def open_sale(self, tickets: Sequence[TicketType]) -> Ids:
        """Put this stock on sale under fresh ids, so that runs do not see each other."""
        events = {
            event: await self.connection.fetchval("SELECT nextval('events')")
            for event in {ticket.event for ticket in tickets}
        }
        return {
            ticket.name: await self.connection.fetchval(
                "INSERT INTO tickets (event, name, initial, remaining) VALUES ($1, $2, $3, $3) RETURNING id",
                events[ticket.event],
                ticket.name,
                ticket.initial,
            )
            for ticket in tickets
        }

    def ticket_ids(self, sale: Ids) -> Mapping[str, str]:
        """Return the scenario's names by what the ledger's tables call the ticket types."""
        return {str(identity): name for name, identity in sale.items()}

    async def books(self, sale: Ids) -> Books:
        """Read what remains and who bought, in one statement, so that both are of one moment."""
        rows = await self.connection.fetch(
            "SELECT name, initial, remaining, sales.id AS sale, buyer"
            " FROM tickets LEFT JOIN sales ON ticket = tickets.id WHERE tickets.id = ANY ($1)",
            list(sale.values()),
        )
        stock = {
            row["name"]: Stock(ticket=row["name"], initial=row["initial"], remaining=row["remaining"])
            for row in rows
        }
        return Books(
            stock=tuple(stock.values()),
            entries=tuple(
                Entry(ticket=row["name"], person=row["buyer"], reservation=str(row["sale"]))
                for row in rows
                if row["sale"] is not None
            ),
        )


@dataclass
class Customer:
    """One buyer's connection."""

    connection: asyncpg.Connection

    async def perform(self, sale: Ids, operation: Operation, gate: Gate) -> Answer:
        """Do one operation. The gate opens for all buyers at once: nothing may have happened before it."""
        if not isinstance(operation, Reserve):
            return Answer(Outcome.INVALID, detail="this shop only sells")
        await gate()
        try:
            return await buy(self.connection, sale[operation.ticket], operation.person)
        except asyncpg.UniqueViolationError:
            return Answer(Outcome.DUPLICATE)

    async def close(self) -> None:
        """Leave in an orderly way."""
        await self.connection.close()

    def abandon(self) -> None:
        """Walk away, whatever is under way."""
        self.connection.terminate()


async def buy(connection: asyncpg.Connection, ticket: int, buyer: str) -> Answer:
    """Sell one ticket: the code under test."""
    async with connection.transaction():
        taken = await connection.fetchval(
            "UPDATE tickets SET remaining = remaining - 1"
            " WHERE id = $1 AND remaining > 0 RETURNING remaining",
            ticket,
        )
        if taken is None:
            return Answer(Outcome.SOLD_OUT)
        sale = await connection.fetchval(
            "INSERT INTO sales (event, ticket, buyer) SELECT event, id, $2 FROM tickets WHERE id = $1"
            " RETURNING id",
            ticket,
            buyer,
        )
    return Answer(Outcome.ACCEPTED, reservation=str(sale), remaining=taken)
