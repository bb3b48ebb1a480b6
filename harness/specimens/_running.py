"""A shop at work: its tables, its books, and the connections of its buyers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg

from harness.model import Answer, Books, Entry, Feature, Outcome, ReadNotice, Stock
from harness.model.ledger import Ledger, RowsTable, Standing, StockTable
from harness.postgres import connect, is_connection_lost
from harness.specimens._statements import DUPLICATE, SOLD_OUT, NoneLeftError, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.model import Gate, Operation, TicketType
    from harness.specimens._shop import Shop

SCHEMA = """
    CREATE TABLE tickets (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        name text NOT NULL,
        quantity_initial integer NOT NULL,
        quantity_available integer NOT NULL,
        closed boolean NOT NULL
    );
    CREATE TABLE rsvps (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id bigint NOT NULL,
        ticket_id bigint NOT NULL REFERENCES tickets,
        user_id text NOT NULL,
        quantity integer NOT NULL,
        status text NOT NULL DEFAULT 'confirmed'
    );
    CREATE INDEX ON rsvps (ticket_id);
    CREATE INDEX ON rsvps (event_id, user_id);
    CREATE SEQUENCE event_ids;
"""

_BOOKS = """
    SELECT t.name, t.quantity_initial, {available} AS remaining, {sold} AS sold, {held} AS held,
           e.kind, e.id, e.user_id, e.quantity
    FROM tickets t LEFT JOIN LATERAL ({rows}) e ON true
    WHERE t.id = ANY ($1::bigint[])
    ORDER BY t.id, e.place
"""
_RSVPS = (
    "SELECT 'rsvp' AS kind, r.id::text, r.user_id, r.quantity, r.id AS place"
    " FROM rsvps r WHERE r.ticket_id = t.id AND r.status = 'confirmed'"
)
_REFUNDS = (
    "SELECT 'refund', f.rsvp_id::text, f.user_id, f.quantity, f.id FROM refunds f WHERE f.ticket_id = t.id"
)
_CHANNEL = "ticket_availability"


@dataclass(frozen=True, slots=True)
class ShopSale:
    """One sale: the shop's ids by the scenario's names."""

    tickets: Mapping[str, Ticket]


@dataclass(slots=True)
class RunningShop:
    """A shop connected to one database."""

    shop: Shop
    database: str
    _db: asyncpg.Connection

    async def connect(self, name: str) -> ShopClient:  # noqa: ARG002  # one connection is like another
        """Return a client with a connection of its own."""
        client = ShopClient(self.shop, await connect(self.database))
        if Feature.NOTICES in self.shop.supports:
            await client.listen()
        return client

    async def open_sale(self, tickets: Sequence[TicketType]) -> ShopSale:
        """Insert the ticket types under fresh ids."""
        await self._connected()
        events = {
            event: await self._db.fetchval("SELECT nextval('event_ids')")
            for event in dict.fromkeys(ticket.event for ticket in tickets)
        }
        made: dict[str, Ticket] = {}
        for ticket in tickets:
            identity = await self._db.fetchval(
                "INSERT INTO tickets (event_id, name, quantity_initial, quantity_available, closed)"
                " VALUES ($1, $2, $3, $3, $4) RETURNING id",
                events[ticket.event],
                ticket.name,
                ticket.initial,
                ticket.closed,
            )
            made[ticket.name] = Ticket(identity, events[ticket.event])
        return ShopSale(made)

    async def _connected(self) -> None:
        """Connect anew where Postgres was gone for a while."""
        if self._db.is_closed():
            self._db = await connect(self.database)

    def leave(self) -> None:
        """Drop the connection."""
        self._db.terminate()

    async def books(self, sale: ShopSale) -> Books:
        """Read numbers and rows in one statement, so in one snapshot."""
        await self._connected()
        rows = await self._db.fetch(_books_query(self.shop), [ticket.id for ticket in sale.tickets.values()])
        stock = {
            row["name"]: Stock(
                ticket=row["name"],
                initial=row["quantity_initial"],
                remaining=row["remaining"],
                sold=row["sold"],
                held=row["held"],
            )
            for row in rows
        }
        supports = self.shop.supports
        return Books(
            stock=tuple(stock.values()),
            entries=_entries(rows, "rsvp"),
            holds=_entries(rows, "hold") if Feature.HOLD in supports else None,
            waiting=_entries(rows, "place") if Feature.WAITLIST in supports else None,
            refunds=_entries(rows, "refund") if Feature.REFUND in supports else None,
        )

    def ticket_ids(self, sale: ShopSale) -> Mapping[str, str]:
        """Return the names of the ticket types by their ids in the tables."""
        return {str(ticket.id): name for name, ticket in sale.tickets.items()}


def ledger_of(shop: Shop) -> Ledger:
    """Return which tables carry the stock of a shop, as far as they are those of most shops."""
    counted = shop.available == "t.quantity_available"
    stock = StockTable(
        table="public.tickets",
        ticket="id",
        remaining="quantity_available" if counted else None,
        sold="sold" if shop.sold == "t.sold" else None,
        capacity="quantity_initial",
    )
    bought = {"confirmed": Standing.SOLD}
    rows = [*shop.stock_rows]
    if Feature.HOLD in shop.supports and shop.holds == "rsvps":
        bought["held"] = Standing.HELD
    elif Feature.HOLD in shop.supports:
        rows.append(_rows(f"public.{shop.holds}", {"held": Standing.HELD}))
    if Feature.WAITLIST in shop.supports and shop.line.startswith("rsvps"):
        bought["waiting"] = Standing.WAITING
    elif Feature.WAITLIST in shop.supports:
        rows.append(
            RowsTable(
                table="public.waitlist",
                ticket="ticket_id",
                person="user_id",
                standing=Standing.WAITING,
                reservation="id",
                place="id",
            )
        )
    return Ledger(stock=(stock,), rows=(_rows("public.rsvps", bought), *rows))


def _rows(table: str, standing: Mapping[str, Standing]) -> RowsTable:
    return RowsTable(
        table=table,
        ticket="ticket_id",
        person="user_id",
        quantity="quantity",
        status="status",
        standing=standing,
        reservation="id",
        place="id",
    )


@dataclass(slots=True)
class ShopClient:
    """One buyer's connection to a shop."""

    shop: Shop
    _db: asyncpg.Connection
    _told: dict[int, int] = field(default_factory=dict)
    """What the last notice about each ticket type said."""

    async def listen(self) -> None:
        """Hear every notice from now on."""
        await self._db.add_listener(_CHANNEL, self._hear)

    async def perform(self, sale: ShopSale, operation: Operation, gate: Gate) -> Answer:
        """Do one operation; errors of the database become outcomes as an application would have it."""
        ticket = sale.tickets[operation.ticket]
        await gate()
        try:
            if isinstance(operation, ReadNotice):
                return await self._last_notice(ticket)
            return await self.shop.handle(self._db, ticket, operation)
        except NoneLeftError:
            return SOLD_OUT
        except asyncpg.UniqueViolationError:
            return DUPLICATE
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            return Answer(Outcome.RETRYABLE, detail=type(error).__name__)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_connection_lost(error):
                return Answer(Outcome.UNKNOWN, detail=type(error).__name__)
            raise

    async def close(self) -> None:
        """Close the connection."""
        async with asyncio.timeout(5):
            await self._db.close()

    def abandon(self) -> None:
        """Drop the connection without a word."""
        self._db.terminate()

    async def _last_notice(self, ticket: Ticket) -> Answer:
        """Ask for anything at all: what was sent before arrives before the answer."""
        await self._db.fetchval("SELECT 1")
        return Answer(Outcome.ACCEPTED, remaining=self._told.get(ticket.id))

    def _hear(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        notice = json.loads(str(payload))
        self._told[notice["ticket"]] = notice["available"]


def _books_query(shop: Shop) -> str:
    parts, held = [_RSVPS], "0"
    if Feature.HOLD in shop.supports:
        holds = f"FROM {shop.holds} h WHERE h.ticket_id = t.id AND h.status = 'held'"
        parts.append(f"SELECT 'hold', h.id::text, h.user_id, h.quantity, 0 {holds}")
        held = f"(SELECT coalesce(sum(h.quantity), 0) {holds})"
    if Feature.WAITLIST in shop.supports:
        parts.append(f"SELECT 'place', w.id::text, w.user_id, 1, w.id FROM {shop.line}")  # noqa: S608  # likewise
    if Feature.REFUND in shop.supports:
        parts.append(_REFUNDS)
    return _BOOKS.format(available=shop.available, sold=shop.sold, held=held, rows=" UNION ALL ".join(parts))


def _entries(rows: Iterable[asyncpg.Record], kind: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            ticket=row["name"],
            person=row["user_id"],
            quantity=row["quantity"],
            reservation=row["id"],
        )
        for row in rows
        if row["kind"] == kind
    )
