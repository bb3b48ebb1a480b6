"""The service as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from harness.errors import UsageError
from harness.service import serve
from harness.service.__main__ import NUMBERS
from tests.service.running import PATIENCE, Service, client_of, connection_to, until
from tests.service.sockets import opened
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.service.running import Sale


@contextlib.asynccontextmanager
async def process(database: str | None, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``python -m harness.service``; it is killed at the end if it has not ended by then."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OVERSELL_")}
    if database is not None:
        environment["OVERSELL_SERVICE_DATABASE"] = database
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "harness.service",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        await started.communicate()


async def ready(started: asyncio.subprocess.Process) -> str:
    """Return the URL of the ready line."""
    assert started.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await started.stdout.readline()
    return str(json.loads(line)["url"])


async def ended(started: asyncio.subprocess.Process) -> tuple[int, str]:
    """Return the exit code and what was said on standard error."""
    async with asyncio.timeout(PATIENCE):
        _, said = await started.communicate()
    return int(started.returncode or 0), said.decode()


async def test_it_migrates_seeds_and_says_where_it_is(database: str) -> None:
    """From an empty database to a page with tickets, in one command."""
    async with process(database, "--migrate", "--demo") as started:
        url = await ready(started)
        async with client_of(url) as client:
            page = await client.get("/rsvp", params={"event": 1})
            assert "General admission" in page.text
        started.send_signal(signal.SIGTERM)
        assert await ended(started) == (0, "")


async def test_the_demo_is_seeded_once(database: str) -> None:
    """Started again on the same database, it shows the same event."""
    for _ in range(2):
        async with process(database, "--migrate", "--demo") as started:
            await ready(started)
            started.send_signal(signal.SIGINT)
            assert await ended(started) == (0, "")
    async with connection_to(database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events") == 1


async def test_the_ready_line_goes_to_a_file(own_database: str, tmp_path: Path) -> None:
    """A parent that does not read our output finds the port in a file that is whole once it is there."""
    file = tmp_path / "ready.json"
    async with process(own_database, "--ready-file", str(file)) as started:
        async with asyncio.timeout(PATIENCE):
            while not file.exists():
                await next_turn()  # A file cannot set an event.
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(json.loads(file.read_text())["url"] + "/healthz")).status_code == 200
        assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208  # nothing else was left there
        started.send_signal(signal.SIGTERM)
        assert (await ended(started))[0] == 0


@pytest.mark.parametrize(
    ("database", "arguments", "said"),
    [
        (None, (), "OVERSELL_SERVICE_DATABASE"),
        ("postgresql://ann:hunter2@127.0.0.1:1/shop", (), "127.0.0.1:1"),
        ("mysql://ann:hunter2@127.0.0.1/shop", (), "postgresql"),
        ("postgresql://ann:hunter2@127.0.0.1:1/shop", ("--pool-size", "0"), "--pool-size"),
    ],
)
async def test_what_cannot_be_is_said_in_one_line(
    database: str | None, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, one line, and never the password."""
    async with process(database, *arguments) as started:
        code, error = await ended(started)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("option", "variable", "value", "said"),
    [
        ("--sweep-every", "OVERSELL_SERVICE_SWEEP_EVERY", "-1", "a number from 0 to"),
        ("--sweep-every", "OVERSELL_SERVICE_SWEEP_EVERY", "nan", "a number from 0 to"),
        ("--hold-seconds", "OVERSELL_SERVICE_HOLD_SECONDS", "1.5", "a whole number from 1 to 86400"),
        ("--hold-seconds", "OVERSELL_SERVICE_HOLD_SECONDS", "100000", "a whole number from 1 to 86400"),
        ("--pool-size", "OVERSELL_SERVICE_POOL_SIZE", "many", "a whole number from 1 to"),
    ],
)
def test_a_number_that_cannot_be_names_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, option: str, variable: str, value: str, said: str
) -> None:
    """As an option or in the environment, whose word counts where there is no option."""
    (number,) = [number for number in NUMBERS if number.option == option]
    with pytest.raises(UsageError, match=f"{option} must be {said}"):
        number.read(value)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=f"{variable} must be {said}"):
        number.read(None)
    assert number.read("1") == 1
    monkeypatch.setenv(variable, "2")
    assert number.read(None) == 2
    monkeypatch.delenv(variable)
    assert number.read(None) == number.default


async def test_the_sweeper_does_what_it_was_told(own_database: str) -> None:
    """A process of its own gives back what is held for too long, as often as it was told to."""
    async with process(own_database, "--sweep-every", "0.05", "--hold-seconds", "1") as started:
        url = await ready(started)
        async with client_of(url) as client:
            sale = await Service(url, own_database, client, asyncio.Event()).sale(1)
            assert (await sale.hold("ann")).status_code == 201

            async def given_back() -> bool:
                return await sale.people("expired") == ["ann"]

            await until(given_back)
        started.send_signal(signal.SIGTERM)
        assert await ended(started) == (0, "")


async def test_it_ends_with_sockets_open(own_database: str) -> None:
    """Whoever watches is told with 1012, and nobody is waited for."""
    async with process(own_database) as started:
        url = await ready(started)
        async with client_of(url) as client:
            service = Service(url, own_database, client, asyncio.Event())
            sale = await service.sale()
            async with opened(service, sale.event) as socket:
                await socket.receive()
                started.send_signal(signal.SIGTERM)
                assert await socket.until_closed() == 1012
                assert await ended(started) == (0, "")


async def test_a_port_that_is_taken(own_database: str) -> None:
    """Exit code 2, and the way out."""
    async with process(own_database) as first:
        port = httpx.URL(await ready(first)).port
        async with process(own_database, "--port", str(port)) as second:
            code, error = await ended(second)
    assert code == 2
    assert "Port 0 takes any free one" in error


async def test_sigterm_during_a_rush(own_database: str) -> None:
    """Requests under way are finished, every accepted one is in the books, no session is left."""
    async with process(own_database) as started:
        url = await ready(started)
        async with client_of(url) as client:
            sale = await Service(url, own_database, client, asyncio.Event()).sale(100_000)
            accepted = Accepted(50)
            async with asyncio.TaskGroup() as tasks:
                for buyer in range(8):
                    tasks.create_task(buy_until_it_ends(sale, f"buyer-{buyer}", accepted))
                async with asyncio.timeout(PATIENCE):
                    await accepted.enough.wait()
                started.send_signal(signal.SIGTERM)
                assert await ended(started) == (0, "")
            sold = await sale.sold()
            ids = await sale.service.fetchval("SELECT array_agg(id::text) FROM rsvps")
    assert accepted <= set(ids)
    assert sold == len(ids)
    async with connection_to(own_database) as connection:
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'oversell-service%'"
        assert await connection.fetchval(f"{left} AND datname = current_database()") == 0


async def test_a_service_that_is_cancelled_leaves_the_event_loop_clean(own_database: str) -> None:
    """Cancelled instead of told to stop, it still closes its sockets, so that the next one is heard."""
    for _ in range(3):
        announced: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(serve(own_database, ready=announced.set_result, stop=asyncio.Event()))
        async with asyncio.timeout(PATIENCE), client_of(await announced) as client:
            assert (await client.get("/healthz")).status_code == 200
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


class Accepted(set[str]):
    """The RSVPs that were accepted, and an event for when there are enough of them."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.wanted, self.enough = enough, asyncio.Event()

    def add(self, rsvp: str, /) -> None:
        super().add(rsvp)
        if len(self) >= self.wanted:
            self.enough.set()


async def buy_until_it_ends(sale: Sale, buyer: str, accepted: set[str]) -> None:
    """Buy under ever new names until nobody answers any more."""
    number = 0
    while True:
        number += 1
        try:
            response = await sale.rsvp(f"{buyer}-{number}")
        except httpx.TransportError:
            return
        assert response.status_code == 201
        accepted.add(response.json()["rsvp"]["id"])
