"""Faults fired at random, one kind at a time and at every step: what they do, and what is noted of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving.gate import OpenGate
from harness.driving.guard import install, started
from harness.driving.program import Patience, perform
from harness.errors import TargetFailedError
from harness.faulting.chaos import Chaos, behind_chaos
from harness.faulting.faults import FAULTS
from harness.faulting.odds import Odds
from harness.faulting.theatre import ground_of
from harness.model import Outcome, Reserve, TicketType
from harness.postgres import connect
from harness.targets import resolve
from harness.targets.service import ServiceProcess
from tests.faulting.shop import WatchedShop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from harness.faulting.fault import Fault
    from harness.faulting.steps import SeenStep
    from harness.model import Call, Target
    from harness.postgres import Server

TICKETS = (TicketType(name="general", initial=5),)
NAMED = {fault.name: fault for fault in FAULTS}


@contextlib.asynccontextmanager
async def ready(server: Server, target: Target, folder: Path, *faults: str) -> AsyncIterator[Chaos]:
    """Start a target where each of these faults is as likely at every step, once chaos goes on."""
    async with (
        server.template(lambda url: install(target, url), label="chaos") as template,
        server.clone(template, "chaos") as database,
        behind_chaos(
            database, lambda url: started(target, url, folder), ground_of(target), rate=1.0, seed=1
        ) as chaos,
    ):
        if faults:
            chaos.odds = Odds([NAMED[name] for name in faults], 1.0, "1")
        yield chaos


async def bought(chaos: Chaos, sale: Any) -> Call:
    """Have somebody buy one."""
    with chaos.calm():
        client = await chaos.target.connect("buyer")
    operation = Reserve(ticket="general", person="buyer")
    try:
        return await perform(client, sale, operation, OpenGate(), Patience(5.0))
    finally:
        client.abandon()


@pytest.mark.parametrize(
    ("fault", "saw", "lied"),
    [
        ("cut before", "08003", False),
        ("answer lost", "08003", False),
        ("answer replaced", "08006", False),
        ("backend terminated", "08003", False),
        ("refused 40001", "40001", True),
        ("refused 53100", "53100", True),
        ("rows locked", "done", True),
    ],
)
async def test_what_is_fired_is_what_the_table_fires(
    fault: str, saw: str, lied: bool, server: Server, tmp_path: Path
) -> None:
    """The code sees the same error; where that was none, or rows were locked, it is noted when."""
    shop = WatchedShop()
    async with ready(server, shop, tmp_path, fault) as chaos:
        sale = await chaos.running.open_sale(TICKETS)
        async with chaos.going_on():
            call = await bought(chaos, sale)
        assert chaos.fired[fault] >= 1
        assert sum(chaos.fired.values()) == chaos.figures.total == chaos.fired[fault]
        assert [seen for _, seen in shop.seen] == [saw]
        assert bool(chaos.lies) is lied
        ended = call.completed or max(end for _, end in [*chaos.lies, (0, call.invoked)])
        assert all(call.invoked <= end and begun <= ended for begun, end in chaos.lies)
        assert chaos.trouble == ""
        # Everything is over: the next one is served as if nothing had been.
        assert (await bought(chaos, sale)).outcome is Outcome.ACCEPTED


async def test_nothing_breaks_while_something_of_ours_is_done(server: Server, tmp_path: Path) -> None:
    """Nor before it is told to go on: sales are opened and books read whatever the odds."""
    async with ready(server, WatchedShop(), tmp_path, "cut before") as chaos:
        async with chaos.going_on():
            sale = await chaos.running.open_sale(TICKETS)
            with chaos.calm():
                assert (await bought(chaos, sale)).outcome is Outcome.ACCEPTED
            assert (await chaos.running.books(sale)).stock[0].remaining == 4
            assert chaos.odds.steps == chaos.figures.total == 0
            assert (await bought(chaos, sale)).outcome is Outcome.UNKNOWN
        assert chaos.figures.total == 1
        assert (await bought(chaos, sale)).outcome is Outcome.ACCEPTED


async def test_a_function_that_writes_is_seen_to(server: Server, tmp_path: Path) -> None:
    """Its name does not say so: once it was seen to, at its first commit, it can violate a key."""
    async with ready(server, resolve("sql"), tmp_path, "refused 23505") as chaos:
        sale = await chaos.running.open_sale(TICKETS)
        async with chaos.going_on():
            assert (await bought(chaos, sale)).outcome is not Outcome.ACCEPTED
            assert (chaos.odds.steps, chaos.fired["refused 23505"]) == (2, 1)
            assert (await bought(chaos, sale)).outcome is not Outcome.ACCEPTED
            assert (chaos.odds.steps, chaos.fired["refused 23505"]) == (3, 2)


@pytest.mark.parametrize(("fault", "how"), [("process killed", "kill"), ("process stopped", "pause")])
async def test_a_process_is_there_again_afterwards(
    fault: str, how: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the chaos was: it is waited for, and it answers."""
    struck, strike = asyncio.Event(), getattr(ServiceProcess, how)

    def noticed(process: ServiceProcess) -> Any:
        struck.set()
        return strike(process)

    monkeypatch.setattr(ServiceProcess, how, noticed)
    async with ready(server, resolve("service"), tmp_path, fault) as chaos:
        process: ServiceProcess = chaos.target.process  # type: ignore[attr-defined]  # the service has one
        sale, first = await chaos.running.open_sale(TICKETS), process.pid
        async with chaos.going_on():
            buying = asyncio.create_task(bought(chaos, sale))
            async with asyncio.timeout(10):
                await struck.wait()
        await buying
        assert chaos.fired[fault] >= 1
        assert (process.pid != first) is (fault == "process killed")
        (*_, probe) = await chaos.probe(sale, "general", Patience(5.0))
        assert probe.outcome is Outcome.ACCEPTED


async def test_nothing_breaks_while_a_process_starts(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it asks Postgres for by then belongs to no request, and a process must have a chance to start."""
    tried, restart = asyncio.Event(), ServiceProcess.restart

    async def noticed(process: ServiceProcess) -> None:
        """Start, and look at the schema first, as many do."""
        try:
            db = await connect(process.database)
            try:
                assert await db.fetchval("SELECT count(*) FROM tickets") == 1
            finally:
                db.terminate()
            await restart(process)
        finally:
            tried.set()

    monkeypatch.setattr(ServiceProcess, "restart", noticed)

    class InTurn(Odds):
        def draw(self, step: Callable[[], SeenStep]) -> Fault | None:
            """Kill the process at the first step, and let nobody through afterwards."""
            super().draw(step)
            return self.faults[min(self.steps, 2) - 1]

    async with ready(server, resolve("service"), tmp_path) as chaos:
        chaos.odds = InTurn([NAMED["process killed"], NAMED["cut before"]], 1.0, "1")
        sale = await chaos.running.open_sale(TICKETS)
        async with chaos.going_on():
            assert (await bought(chaos, sale)).outcome is Outcome.UNKNOWN
            async with asyncio.timeout(30):
                await tried.wait()
        assert (chaos.trouble, chaos.fired["process killed"]) == ("", 1)


async def test_who_was_stopped_goes_on_when_it_is_broken_off(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no time to wait for the second to be over, too."""
    monkeypatch.setattr("harness.faulting.chaos.ENDING", 0.0)
    stopped, pause = asyncio.Event(), ServiceProcess.pause

    def noticed(process: ServiceProcess) -> None:
        stopped.set()
        pause(process)

    monkeypatch.setattr(ServiceProcess, "pause", noticed)
    async with ready(server, resolve("service"), tmp_path, "process stopped") as chaos:
        sale = await chaos.running.open_sale(TICKETS)
        async with chaos.going_on():
            buying = asyncio.create_task(bought(chaos, sale))
            async with asyncio.timeout(10):
                await stopped.wait()
        assert (await buying).outcome is Outcome.ACCEPTED


async def test_what_does_not_come_back_ends_the_chaos(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing breaks any more, and why is known."""

    async def never() -> None:
        raise TargetFailedError("it did not come back")

    async with ready(server, resolve("service"), tmp_path, "process killed") as chaos:
        monkeypatch.setattr(ServiceProcess, "restart", lambda _: never())
        sale = await chaos.running.open_sale(TICKETS)
        async with chaos.going_on():
            assert (await bought(chaos, sale)).outcome is Outcome.UNKNOWN
        assert chaos.trouble == "it did not come back"
        assert chaos.figures.total == 0
