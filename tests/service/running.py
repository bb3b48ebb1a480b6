"""The service as tests use it: on a real port, over a real Postgres, every answer held against OpenAPI."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from jsonschema import Draft202012Validator

from harness.postgres import connect
from harness.service import Settings, serve
from harness.ticketing import create_event, create_ticket
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

PATIENCE = 20.0
"""Seconds after which something that should have happened has not."""

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
JPEG = b"\xff\xd8\xff\xe0" + bytes(64)
PDF = b"%PDF-1.7\n" + bytes(64)


@dataclass(frozen=True)
class Service:
    """A running service, a client of it and the URL of its database."""

    url: str
    database: str
    client: httpx.AsyncClient
    stop: asyncio.Event

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for raw sockets."""
        parts = httpx.URL(self.url)
        return parts.host, parts.port or 0

    async def sale(self, quantity: int = 10, *, deadline: datetime | None = None) -> Sale:
        """Put a ticket type of a fresh event on sale."""
        async with connection_to(self.database) as connection:
            event = await create_event(connection, "Event")
            ticket = await create_ticket(connection, event.id, "Ticket", Decimal(10), quantity, deadline)
        return Sale(self, event.id, ticket.id, quantity)

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        """Ask the database behind the service's back."""
        async with connection_to(self.database) as connection:
            return await connection.fetchval(statement, *arguments)


@dataclass(frozen=True)
class Sale:
    """One ticket type of one event."""

    service: Service
    event: int
    ticket: str
    quantity: int

    def request(self, user: str = "ann", **changes: Any) -> dict[str, Any]:
        """Return the body of an RSVP."""
        fields = {
            "eventId": self.event,
            "userId": user,
            "name": user.title(),
            "email": f"{user}@example.org",
            "ticketId": self.ticket,
        }
        return fields | changes

    async def rsvp(self, user: str = "ann", *, key: str | None = None, **changes: Any) -> httpx.Response:
        """RSVP as this user."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.service.client.post(
            "/api/rsvp", json=self.request(user, **changes), headers=headers
        )

    async def post(self, path: str, body: Any, *, key: str | None = None) -> httpx.Response:
        """Send something to the service, under an Idempotency-Key when there is one."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.service.client.post(path, json=body, headers=headers)

    async def hold(self, user: str = "ann", *, key: str | None = None, **changes: Any) -> httpx.Response:
        """Hold a ticket as this user."""
        body = {"eventId": self.event, "userId": user, "ticketId": self.ticket}
        return await self.post("/api/holds", body | changes, key=key)

    async def confirm(
        self, hold: str, user: str = "ann", *, key: str | None = None, **changes: Any
    ) -> httpx.Response:
        """Confirm a hold as this user."""
        body = {"name": user.title(), "email": f"{user}@example.org"}
        return await self.post(f"/api/holds/{hold}/confirm", body | changes, key=key)

    async def group(self, *users: str, key: str | None = None, **changes: Any) -> httpx.Response:
        """RSVP for several people."""
        members = [{"userId": user, "name": user.title(), "email": f"{user}@example.org"} for user in users]
        body = {"eventId": self.event, "ticketId": self.ticket, "members": members}
        return await self.post("/api/group-rsvps", body | changes, key=key)

    async def wait(self, user: str, *, key: str | None = None, **changes: Any) -> httpx.Response:
        """Stand in line as this user."""
        return await self.post("/api/waitlist", self.request(user, **changes), key=key)

    async def people(self, status: str = "confirmed") -> list[str]:
        """Return who has a place of that kind at the event, sorted."""
        statement = (
            "SELECT array_agg(user_id ORDER BY user_id) FROM rsvps WHERE event_id = $1 AND status = $2"
        )
        return list(await self.service.fetchval(statement, self.event, status) or ())

    async def sold(self) -> int:
        """Return how many RSVPs stand, after making sure that the counter agrees with what is taken."""
        available = await self.service.fetchval(
            "SELECT quantity_available FROM tickets WHERE id = $1", self.ticket
        )
        taken = await self.service.fetchval(
            "SELECT count(*) FROM rsvps WHERE ticket_id = $1 AND status IN ('confirmed', 'held')", self.ticket
        )
        assert available + taken == self.quantity
        return len(await self.people())

    @contextlib.asynccontextmanager
    async def ticket_locked(self) -> AsyncIterator[Any]:
        """Hold the ticket's row, so that every buyer waits; yields the connection that holds it."""
        async with connection_to(self.service.database) as connection, connection.transaction():
            await connection.execute("SELECT FROM tickets WHERE id = $1 FOR UPDATE", self.ticket)
            yield connection

    async def blocked(self, count: int = 1) -> list[int]:
        """Wait until that many sessions of the service wait for a lock, and return their process ids."""
        async with connection_to(self.service.database) as connection, asyncio.timeout(PATIENCE):
            while True:
                rows = await connection.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'oversell-service' AND wait_event_type = 'Lock'"
                )
                if len(rows) >= count:
                    return [row["pid"] for row in rows]


@contextlib.asynccontextmanager
async def connection_to(database: str) -> AsyncIterator[Any]:
    """Yield a connection of the test's own."""
    connection = await connect(database)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def running(
    database: str, settings: Settings | None = None, *, port: int = 0
) -> AsyncIterator[Service]:
    """Run the service in this process, on a port the kernel chose, or on one that was used before."""
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(database, ready=ready.set_result, stop=stop, port=port, settings=settings))
        async with asyncio.timeout(PATIENCE):
            url = await ready
        try:
            async with client_of(url) as client:
                yield Service(url, database, client, stop)
        finally:
            stop.set()


@contextlib.asynccontextmanager
async def client_of(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that holds every answer of the API against the service's own OpenAPI document."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits, trust_env=False) as client:
        contract = Contract((await client.get("/schema/openapi.json")).json())
        client.event_hooks = {"response": [contract.check]}
        yield client


class Contract:
    """An OpenAPI document, as a judge of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._paths = {
            re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)): item for path, item in document["paths"].items()
        }

    async def check(self, response: httpx.Response) -> None:
        """Fail when a documented operation answers with a status, a type or a body that it should not."""
        operation = self._operation(response.request)
        if operation is None:
            return
        documented = operation["responses"].get(str(response.status_code))
        assert documented is not None, f"{response.status_code} is not documented for {response.request.url}"
        (media_type, content), *_ = documented["content"].items()
        if media_type == "*/*":
            return
        assert response.headers["content-type"] == media_type
        await response.aread()
        self.validator(content["schema"]).validate(response.json())

    def validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        """Return what judges data by a schema of the document."""
        return Draft202012Validator(
            schema | {"components": self.document["components"]},
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        method = request.method.lower()
        for pattern, item in self._paths.items():
            if method in item and pattern.fullmatch(request.url.path):
                found: dict[str, Any] = item[method]
                return found
        return None


def tally(responses: list[httpx.Response]) -> Counter[tuple[int, str | None]]:
    """Count the answers by status and error code."""
    return Counter((response.status_code, response.json().get("error")) for response in responses)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await next_turn()  # The database cannot set an event of ours.


def some_key() -> str:
    """Return an Idempotency-Key nobody else has."""
    return uuid4().hex
