"""Passing trouble, lost connections and clients that leave: the books stay right, the pool stays clean."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import TYPE_CHECKING

from harness.service import Settings
from tests.service.running import PATIENCE, connection_to, running, some_key, tally, until

if TYPE_CHECKING:
    import pytest

    from tests.service.running import Sale, Service


def raw_rsvp(sale: Sale, *, cut: int = 0) -> bytes:
    """Return the bytes of an RSVP, as many short of the whole as ``cut`` says."""
    body = json.dumps(sale.request("gone")).encode()
    head = (
        "POST /api/rsvp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    whole = head.encode() + body
    return whole[: len(whole) - cut]


def leave(raw: socket.socket) -> None:
    """Reset the connection, as a client does that dies."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


async def idle(service: Service) -> bool:
    """Say whether no session of the service has a transaction open or a statement running."""
    busy = await service.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'oversell-service' AND state <> 'idle'"
    )
    return int(busy) == 0


async def test_a_client_that_leaves_in_the_middle_of_the_purchase(own_database: str) -> None:
    """The purchase is carried to its end, and its connection serves the next request."""
    async with running(own_database, Settings(pool_size=1)) as service:
        sale = await service.sale()
        async with sale.ticket_locked():
            raw = socket.create_connection(service.address)
            raw.sendall(raw_rsvp(sale))
            await sale.blocked()
            leave(raw)
        await until(lambda: idle(service))
        assert await sale.sold() == 1
        assert (await sale.rsvp("gone")).json()["error"] == "duplicate_rsvp"
        assert (await sale.rsvp("next")).status_code == 201


async def test_a_request_that_is_cut_short_buys_nothing(own_database: str) -> None:
    """One byte short of a whole request is no request."""
    async with running(own_database, Settings(pool_size=1)) as service:
        sale = await service.sale()
        for _ in range(5):
            with socket.create_connection(service.address) as raw:
                raw.sendall(raw_rsvp(sale, cut=1))
        assert (await sale.rsvp("next")).status_code == 201
        await until(lambda: idle(service))
        assert await sale.sold() == 1


async def test_a_body_that_never_ends_is_given_up(own_database: str) -> None:
    """408 after the bound, without a connection of the pool having been taken."""
    async with running(own_database, Settings(body_wait=0.1)) as service:
        sale = await service.sale()
        reader, writer = await asyncio.open_connection(*service.address)
        writer.write(raw_rsvp(sale, cut=1))
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["error"] == "too_slow"
        writer.close()
        await writer.wait_closed()
        assert await sale.sold() == 0


async def test_a_request_that_never_ends_does_not_hold_up_the_end(own_database: str) -> None:
    """Told to stop, the service waits for what is under way, but not for ever."""
    async with asyncio.timeout(PATIENCE), running(own_database, Settings(shutdown_wait=1)) as service:
        sale = await service.sale()
        reader, writer = await asyncio.open_connection(*service.address)
        writer.write(raw_rsvp(sale, cut=1))
        await writer.drain()
        assert (await service.client.get("/healthz")).status_code == 200
        service.stop.set()
        assert b"rsvp" not in await reader.read()
        writer.close()
        await writer.wait_closed()
    async with connection_to(own_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM rsvps") == 0


async def test_an_exhausted_pool_answers_503_within_a_bound(own_database: str) -> None:
    """With the only connection taken, the next request is told to come back, and then served."""
    async with running(own_database, Settings(pool_size=1, pool_wait=0.1)) as service:
        sale = await service.sale()
        async with asyncio.TaskGroup() as tasks, sale.ticket_locked():
            first = tasks.create_task(sale.rsvp("ann"))
            await sale.blocked()
            second = await sale.rsvp("bob")
            health = await service.client.get("/healthz")
        for response in (second, health):
            assert (response.status_code, response.json()["error"]) == (503, "busy")
            assert response.headers["retry-after"] == "1"
        assert first.result().status_code == 201
        assert (await sale.rsvp("bob")).status_code == 201


async def test_a_lock_that_is_not_given_answers_503(own_database: str) -> None:
    """Waiting for another buyer has an end; nothing was done, and the key is still free."""
    async with running(own_database, Settings(lock_wait=0.1)) as service:
        sale = await service.sale()
        key = some_key()
        async with sale.ticket_locked():
            responses = [await sale.rsvp("ann"), await sale.rsvp("bob", key=key)]
        assert tally(responses) == {(503, "busy"): 2}
        assert await sale.sold() == 0
        assert (await sale.rsvp("bob", key=key)).status_code == 201


async def test_a_statement_that_runs_too_long_answers_503(own_database: str) -> None:
    """Postgres ends it and takes back what it did."""
    async with running(own_database, Settings(statement_wait=0.1)) as service:
        sale = await service.sale()
        async with sale.ticket_locked():
            response = await sale.rsvp()
        assert (response.status_code, response.json()["error"]) == (503, "busy")
        assert await sale.sold() == 0


async def test_a_serialization_failure_answers_503(own_database: str) -> None:
    """On a database that is REPEATABLE READ throughout, a lost race is passing trouble."""
    async with connection_to(own_database) as connection:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
        )
    async with running(own_database) as service:
        sale = await service.sale()
        async with asyncio.TaskGroup() as tasks, sale.ticket_locked() as other:
            waiting = tasks.create_task(sale.rsvp())
            await sale.blocked()
            await other.execute("UPDATE tickets SET name = 'Renamed' WHERE id = $1", sale.ticket)
        assert (waiting.result().status_code, waiting.result().json()["error"]) == (503, "busy")
        assert await sale.sold() == 0
        assert (await sale.rsvp()).status_code == 201


async def test_a_connection_lost_half_way_leaves_the_outcome_unknown(
    own_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can know whether it was done, so 500 says just that; the next request gets a new connection."""
    async with running(own_database, Settings(pool_size=1)) as service:
        sale = await service.sale()
        key = some_key()
        async with asyncio.TaskGroup() as tasks, sale.ticket_locked():
            lost = tasks.create_task(sale.rsvp(key=key))
            (session,) = await sale.blocked()
            await service.fetchval("SELECT pg_terminate_backend($1)", session)
            await lost
        assert (lost.result().status_code, lost.result().json()["error"]) == (500, "outcome_unknown")
        assert "POST /api/rsvp failed" in caplog.text
        assert (await sale.rsvp(key=key)).status_code == 201
        assert await sale.sold() == 1


async def test_a_database_that_silently_stops_answering(own_database: str) -> None:
    """No answer from Postgres within the bound is an unknown outcome, never a hanging client."""
    settings = Settings(answer_wait=0.2, pool_size=1)
    async with running(own_database, settings) as service:
        sale = await service.sale()
        async with sale.ticket_locked():
            response = await sale.rsvp()
        assert (response.status_code, response.json()["error"]) == (500, "outcome_unknown")
        await until(lambda: idle(service))
        assert await sale.sold() == 0


async def test_a_database_that_cannot_be_reached(own_database: str) -> None:
    """503 says that nothing was done, and the service recovers by itself."""
    async with running(own_database, Settings(pool_size=1)) as service:
        sale = await service.sale()
        async with connection_to(own_database.rpartition("/")[0] + "/postgres") as control:
            name = own_database.rpartition("/")[2].partition("?")[0]
            await control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await control.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )
            responses = [await sale.rsvp() for _ in range(2)]
            await control.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert responses[-1].status_code == 503
        assert responses[-1].json()["error"] == "database_unreachable"
        assert (await sale.rsvp()).status_code == 201
