"""A master and its workers: all that any of them did reaches the engine, whatever becomes of one."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from harness.load.messages import Chunk, Ended, Hello, Stats, Stop, Trouble, Workers
from harness.load.plan import Sale
from harness.model import Outcome
from tests.locusts.engine import Engine, auditing, is_complete, listening, plan_for
from tests.locusts.running import LOCUSTFILE, Locust, free_port, locust

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.locusts.shop import Shop


@contextlib.asynccontextmanager
async def mastered(
    folder: Path,
    engine: Engine,
    host: str,
    *options: str,
    workers: int = 2,
    file: Path = LOCUSTFILE,
    headless: bool = True,
) -> AsyncIterator[tuple[Locust, list[Locust]]]:
    """Run a master and its workers."""
    port = str(free_port())
    common = ("--host", host, "-u", "4", "-r", "4", "--only-summary", *(["--headless"] if headless else []))
    elsewhere = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    expected = ("--expect-workers", str(workers), "--expect-workers-max-wait", "30")
    async with contextlib.AsyncExitStack() as stack:
        options = (*common, *elsewhere, *expected, *options)
        master = await stack.enter_async_context(locust(folder / "master", *options, link=engine.address))
        joining = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        started = [
            await stack.enter_async_context(locust(folder / f"worker-{number}", *joining, file=file))
            for number in range(workers)
        ]
        yield master, started


async def all_came(engine: Engine, shop: Shop, *, workers: int = 2) -> None:
    """See that the engine heard of all that the shop was asked for, and that each worker said its last."""
    await engine.until_closed()
    assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)
    assert is_complete(engine)
    assert len(engine.of(Ended)) == workers


async def test_what_two_workers_did_is_recorded(tmp_path: Path) -> None:
    """Nothing is lost between worker, master and engine, and no name was used by two workers."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url) as (master, workers),
    ):
        await engine.until_recorded(300)
        engine.say(Stop("seen enough"))
        assert await master.ends() == 0
        assert [await worker.ends() for worker in workers] == [0, 0]
        await all_came(engine, shop)
        assert {call.answer.outcome for _, call in engine.calls} == {Outcome.ACCEPTED, Outcome.SOLD_OUT}
        people = [call.operation.person for _, call in engine.calls]
        assert len(people) == len(set(people))
        assert {ended.worker for ended in engine.of(Ended)} == {chunk.worker for chunk in engine.of(Chunk)}
        assert len(engine.of(Hello)) == 3
        assert engine.of(Trouble) == []


async def test_the_run_time_ends_it_as_well(tmp_path: Path) -> None:
    """Locust gives workers half a second when its time is over; ours wait until all is safe."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url, "--run-time", "2s") as (master, workers),
    ):
        assert await master.ends() == 0
        assert [await worker.ends() for worker in workers] == [0, 0]
        await all_came(engine, shop)


async def test_a_master_with_a_page_lets_its_workers_go(tmp_path: Path) -> None:
    """Once its time is over it forgets workers until they are ready again; that must not take them long."""
    page = ("--autostart", "--autoquit", "1", "--web-host", "127.0.0.1", "--web-port", str(free_port()))
    options = (*page, "--run-time", "2s", "--stop-timeout", "30")
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url, *options, headless=False) as (master, workers),
    ):
        assert await master.ends() == 0
        assert [await worker.ends() for worker in workers] == [0, 0]
        assert all("Got quit message from master" in worker.said() for worker in workers)
        await all_came(engine, shop)


async def test_workers_are_waited_for(tmp_path: Path) -> None:
    """While their buyers wait for answers the master goes on listening, longer than Locust would."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url) as (master, workers),
    ):
        await engine.until_recorded(50)
        shop.silent.clear()
        for _ in range(4):
            await shop.withheld.acquire()
        engine.say(Stop("seen enough"))
        await engine.until(Stats, len(engine.of(Stats)) + 4)
        shop.silent.set()
        assert await master.ends() == 0
        assert [await worker.ends() for worker in workers] == [0, 0]
        await all_came(engine, shop)


async def test_the_last_worker_to_go_says_all_it_knows(tmp_path: Path) -> None:
    """Locust stops the master as soon as it is gone."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url, workers=1) as (master, workers),
    ):
        await engine.until_recorded(100)
        workers[0].signal(signal.SIGINT)
        assert await workers[0].ends() == 0
        assert await master.ends() == 0
        await all_came(engine, shop, workers=1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_worker_that_dies_or_hangs_is_seen(tmp_path: Path, number: signal.Signals) -> None:
    """It never says that it was all, and is called missing; the other goes on, and ends well."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url) as (master, workers),
    ):
        await engine.until_recorded(100)
        workers[0].signal(number)
        told = len(engine.of(Workers))
        while "missing" not in engine.of(Workers)[-1].states.values():
            told += 1
            await engine.until(Workers, told)
        engine.say(Stop("a worker died"))
        assert await master.ends() == 0
        assert await workers[1].ends() == 0
        await engine.until_closed()
        assert len(engine.of(Ended)) == 1
        assert is_complete(engine)


async def test_a_worker_that_is_asked_to_go_says_all_it_knows(tmp_path: Path) -> None:
    """Ctrl-C at a worker: its records are safe before it leaves."""
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url) as (master, workers),
    ):
        await engine.until_recorded(100)
        workers[0].signal(signal.SIGINT)
        assert await workers[0].ends() == 0
        await engine.until(Ended)
        engine.say(Stop("seen enough"))
        assert await master.ends() == 0
        await all_came(engine, shop)


async def test_a_worker_of_another_version_is_refused(tmp_path: Path) -> None:
    """It is told so in one line, quits with a code of its own, and the engine hears of it."""
    other = tmp_path / "other.py"
    other.write_text(
        "import harness\nharness.__version__ = '0.0.0'\nfrom harness.locusts import Buyer\n", encoding="utf-8"
    )
    async with (
        auditing() as (shop, engine),
        mastered(tmp_path, engine, shop.url, workers=1, file=other) as (master, workers),
    ):
        trouble = await engine.until(Trouble)
        assert "runs oversell 0.0.0" in trouble.text
        assert await workers[0].ends() == 3
        assert "Refused by the engine" in workers[0].said()
        engine.say(Stop("a worker was refused"))
        await master.ends()
        assert engine.of(Chunk) == []
        assert shop.asked == []


async def test_a_host_that_is_not_ours_is_not_loaded(tmp_path: Path) -> None:
    """Neither the master nor a worker does it, and the engine hears why."""
    plan = plan_for("http://shop.example:80")
    async with (
        listening(plan, Sale(number=0, tickets={"general": ("1", "2")})) as engine,
        mastered(tmp_path, engine, plan.host) as (master, _),
    ):
        trouble = await engine.until(Trouble)
        assert "http://shop.example:80 is not this machine" in trouble.text
        assert await master.ends() == 3
        assert "--i-may-load-this-host" in master.said()
