"""One process that makes all the load: all that buyers did reaches the engine, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

from harness.load.behaviour import BEHAVIOURS
from harness.load.messages import Chunk, Clock, Ended, Hello, Opened, Refused, Stats, Stop, Trouble
from harness.load.plan import Sale, Shape
from harness.model import Cancel, Confirm, Outcome, Release, Reserve
from tests.locusts.engine import Engine, auditing, is_complete, listening, plan_for
from tests.locusts.running import Locust, locust

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.locusts.shop import Shop

HOUR = 3600 * 10**9
"""In nanoseconds."""
_NO_MATTER = ("--exit-code-on-error", "0")
"""For Locust: what got no answer is no failure of its own."""


async def test_what_buyers_did_is_recorded(tmp_path: Path) -> None:
    """Each operation that the shop did is recorded once, with its answer and a name used once."""
    async with loaded(tmp_path) as (shop, engine, process):
        await engine.until_recorded(200)
        await stopped(engine, process)
        outcomes = Counter(call.answer.outcome for _, call in engine.calls)
        assert outcomes[Outcome.ACCEPTED] == 30
        assert set(outcomes) == {Outcome.ACCEPTED, Outcome.SOLD_OUT}
        assert [call.operation for _, call in engine.calls] != []
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)
        people = [call.operation.person for _, call in engine.calls]
        assert len(people) == len(set(people))
        assert all(call.completed is not None and call.invoked < call.completed for _, call in engine.calls)
        assert engine.of(Trouble) == []
        assert engine.of(Hello)[0].worker == ""
        assert engine.of(Stats)[-1].requests >= 200
        assert engine.of(Stats)[-1].failures == 0


@contextlib.asynccontextmanager
async def loaded(
    folder: Path,
    *options: str,
    stock: int = 30,
    boot: str | None = None,
    ahead: int = 0,
    **wanted: object,
) -> AsyncIterator[tuple[Shop, Engine, Locust]]:
    """Load a shop by one process for the length of a block.

    :param boot: the engine's boot id; that of this machine where it is left out.
    :param ahead: nanoseconds that the engine's clock is ahead.
    :param wanted: what of the plan is to be otherwise.
    """
    async with auditing(stock, **wanted) as (shop, engine):
        engine.boot, engine.ahead = boot, ahead
        users = str(engine.plan.users)
        usual = ("--headless", "--only-summary", "-u", users, "-r", users)
        async with locust(folder / "log", *usual, *options, link=engine.address) as process:
            yield shop, engine, process


async def stopped(engine: Engine, process: Locust) -> None:
    """End the load, and see that it ended well."""
    engine.say(Stop("seen enough"))
    assert await process.ends() == 0
    await engine.until_closed()
    assert is_complete(engine)
    assert len(engine.of(Ended)) == 1


async def test_every_behaviour_is_done_over_http(tmp_path: Path) -> None:
    """What comes back in an answer is used in the next request: nothing is asked for in vain."""
    weights = dict.fromkeys(BEHAVIOURS.entries, 1)
    async with loaded(tmp_path, behaviours=weights, stock=200) as (shop, engine, process):
        await engine.until_recorded(800)
        await stopped(engine, process)
        assert Counter(map(_asked, shop.asked)) == Counter(_asked(call.operation) for _, call in engine.calls)
        kinds = {type(call.operation) for _, call in engine.calls}
        assert {Reserve, Cancel, Confirm, Release} < kinds
        # Some cancel twice at the same moment, and this shop knows no reservation that is gone.
        answers: defaultdict[str | None, list[Outcome]] = defaultdict(list)
        for _, call in engine.calls:
            if isinstance(call.operation, Cancel):
                answers[call.operation.reservation].append(call.outcome)
        assert answers
        assert None not in answers
        assert all(outcomes.count(Outcome.ACCEPTED) == 1 for outcomes in answers.values())
        twice = [call for _, call in engine.calls if call.client.endswith("/2")]
        assert twice
        assert engine.of(Trouble) == []


def _asked(operation: object) -> tuple[object, ...]:
    """Return what of an operation every request says."""
    person = getattr(operation, "person", "") if isinstance(operation, Reserve) else ""
    return type(operation), person


async def test_two_at_the_same_moment_overlap(tmp_path: Path) -> None:
    """Each on a connection of its own, and both under way before either is answered."""
    async with loaded(tmp_path, behaviours={"impatient": 1}, users=1) as (shop, engine, process):
        await engine.until_recorded(20)
        await stopped(engine, process)
        by_person: dict[str, list[tuple[int, int]]] = {}
        for _, call in engine.calls:
            assert call.completed is not None
            by_person.setdefault(call.operation.person, []).append((call.invoked, call.completed))
        assert all(len(both) == 2 for both in by_person.values())
        assert all(max(a for a, _ in both) < min(b for _, b in both) for both in by_person.values())
        assert shop.connections == 2


@pytest.mark.parametrize("broken", ["closes", "fails", "cuts"])
async def test_what_is_not_answered_is_unknown(tmp_path: Path, broken: str) -> None:
    """It was asked for once, never again, has no end, and is a failure for Locust."""
    async with loaded(tmp_path, "--exit-code-on-error", "0") as (shop, engine, process):
        shop.broken = broken
        await engine.until_recorded(8)
        await stopped(engine, process)
        assert shop.broken == broken
        unknown = [call for _, call in engine.calls if call.answer.outcome is Outcome.UNKNOWN]
        assert len(unknown) >= 4
        assert all(call.completed is None for call in unknown)
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)
        assert engine.of(Stats)[-1].failures == len(unknown)


async def test_a_connection_that_was_left_is_not_used(tmp_path: Path) -> None:
    """A server may close what is idle. That is seen before anything is sent, which would be lost."""
    async with loaded(tmp_path, users=1, wait=(0.05, 0.05)) as (shop, engine, process):
        shop.broken = "leaves"
        await engine.until_recorded(20)
        await stopped(engine, process)
        assert shop.connections >= 20
        assert all(call.completed is not None for _, call in engine.calls)


async def test_who_does_not_answer_in_time_is_not_waited_for(tmp_path: Path) -> None:
    """After the time-out of the plan the outcome is unknown, and the connection is given up."""
    async with loaded(tmp_path, "--exit-code-on-error", "0", timeout=0.3, users=1) as (shop, engine, process):
        await engine.until_recorded(5)
        shop.silent.clear()
        before = len(engine.calls)
        await engine.until_recorded(before + 3)
        late = [call for _, call in engine.calls if call.answer.outcome is Outcome.UNKNOWN]
        assert {call.answer.detail for call in late} == {"TimeoutError: no answer within 0.3 s"}
        shop.silent.set()
        await stopped(engine, process)


async def test_an_operation_under_way_is_waited_for(tmp_path: Path) -> None:
    """Who stops buyers does not tear them away from what they are about: its answer is recorded."""
    async with loaded(tmp_path, users=3) as (shop, engine, process):
        await engine.until_recorded(30)
        shop.silent.clear()
        for _ in range(3):
            await shop.withheld.acquire()
        engine.say(Stop("now"))
        await engine.until(Stats, len(engine.of(Stats)) + 3)
        shop.silent.set()
        assert await process.ends() == 0
        await engine.until_closed()
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)
        assert all(call.completed is not None for _, call in engine.calls)


async def test_buyers_wait_while_nothing_is_taken(tmp_path: Path) -> None:
    """So many chunks and no more are on the way; all of it arrives once it is taken."""
    async with loaded(tmp_path, stock=5, users=20) as (_, engine, process):
        engine.takes = False
        await engine.until(Chunk, 8)
        async with asyncio.timeout(60):
            users, before = 0, -1
            while users != before:
                users, before = engine.of(Stats)[-1].requests, users
                await engine.until(Stats, len(engine.of(Stats)) + 3)
        assert len(engine.of(Chunk)) == 8
        engine.take_all()
        await engine.until(Chunk, 10)
        await stopped(engine, process)
        assert sum(each.records for each in engine.of(Chunk)) == engine.of(Stats)[-1].requests


@pytest.mark.parametrize(
    ("patience", "trouble"),
    [
        ("share.STALLED", "no record was taken for 0.5 s"),
        ("processes.SAFE", "of the chunks of records that were sent were not taken"),
    ],
)
async def test_nobody_waits_for_ever(tmp_path: Path, patience: str, trouble: str) -> None:
    """An engine that takes nothing any more is taken to be gone: no load without it, and an end."""
    file = tmp_path / "impatient.py"
    room, _ = patience.split(".")
    file.write_text(
        f"from harness.locusts import Buyer, {room}\n{patience} = 0.5\ndel {room}\n", encoding="utf-8"
    )
    async with loaded(tmp_path, "-f", str(file), stock=5, users=20) as (_, engine, process):
        engine.takes = False
        if room == "processes":
            await engine.until(Chunk)
            engine.say(Stop("seen enough"))
        assert trouble in (await engine.until(Trouble)).text
        if room == "share":
            engine.take_all()
            engine.say(Stop("seen enough"))
        assert await process.ends() == 0
        await engine.until_closed()
        assert is_complete(engine)
        assert len(engine.of(Ended)) == 1


async def test_a_new_sale_is_visited(tmp_path: Path) -> None:
    """From the moment it is announced, and an old one that is announced late is not."""
    async with loaded(tmp_path, users=2) as (shop, engine, process):
        await engine.until_recorded(20)
        engine.say(Opened(Sale(number=2, tickets={"second": shop.tickets["general"]})))
        engine.say(Opened(Sale(number=1, tickets={"first": shop.tickets["general"]})))
        await engine.until_recorded(len(engine.calls) + 500)
        await stopped(engine, process)
        sales = Counter(sale for sale, _ in engine.calls)
        assert set(sales) == {0, 2}
        assert {call.operation.ticket for sale, call in engine.calls if sale == 2} == {"second"}


async def test_without_records_nothing_is_sent(tmp_path: Path) -> None:
    """The same load, to measure what recording costs."""
    async with loaded(tmp_path, record=False) as (shop, engine, process):
        while len(shop.asked) < 100:
            await engine.until(Stats, len(engine.of(Stats)) + 1)
        await stopped(engine, process)
        assert engine.of(Chunk) == []
        assert engine.of(Clock) == []
        assert engine.of(Ended)[0].records == 0


async def test_the_engines_clock_counts(tmp_path: Path) -> None:
    """On another machine times are told by the engine's clock, give or take what is said at the end."""
    async with loaded(tmp_path, boot="another", ahead=HOUR) as (_, engine, process):
        await engine.until_recorded(50)
        await stopped(engine, process)
        error = engine.of(Ended)[0].clock_error
        assert 0 < error < 10**9
        assert len(engine.of(Clock)) >= 8
        last = engine.came[engine.of(Chunk)[-1].number] + HOUR
        times = [call.completed or call.invoked for _, call in engine.calls]
        assert max(times) <= last + error
        assert min(times) > last - 60 * 10**9


async def test_one_clock_needs_no_telling(tmp_path: Path) -> None:
    """With the same boot id the clock is the same, exactly."""
    async with loaded(tmp_path) as (_, engine, process):
        await engine.until_recorded(50)
        await stopped(engine, process)
        assert engine.of(Ended)[0].clock_error == 0
        assert len(engine.of(Clock)) == 1


async def test_one_boot_id_on_two_machines_is_found_out(tmp_path: Path) -> None:
    """Machines woken from one snapshot: what the engine tells cannot be our time, so it is measured."""
    async with loaded(tmp_path, ahead=HOUR) as (_, engine, process):
        await engine.until_recorded(50)
        await stopped(engine, process)
        assert engine.of(Ended)[0].clock_error > 0


@pytest.mark.parametrize("shape", [Shape.SPIKE, Shape.RAMP, Shape.SOAK])
async def test_a_shape_is_followed_to_its_end(tmp_path: Path, shape: Shape) -> None:
    """Few at first, all of them in between, and it ends by itself; nobody who leaves is torn away."""
    async with loaded(tmp_path, shape=shape, users=8, run_time=4.0) as (shop, engine, process):
        assert await process.ends() == 0
        await engine.until_closed()
        users = [stats.users for stats in engine.of(Stats)]
        assert max(users) >= 6
        assert {1, 2} & set(users)
        assert is_complete(engine)
        assert all(call.completed is not None for _, call in engine.calls)
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)


async def test_without_the_engine_it_ends(tmp_path: Path) -> None:
    """The process is not left alone when the engine dies."""
    async with loaded(tmp_path) as (_, engine, process):
        await engine.until_recorded(50)
        engine.hang_up()
        assert await process.ends() == 3
        assert "The engine is gone" in process.said()


async def test_without_an_engine_to_connect_to_it_ends(tmp_path: Path) -> None:
    """Nobody listens: one line, and a code of its own."""
    async with locust(tmp_path / "log", "--headless", "--host", "http://127.0.0.1:9", link="9:x") as process:
        assert await process.ends() == 3
        assert "the engine cannot be reached" in process.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Everything gathered is kept."""
    async with loaded(tmp_path) as (shop, engine, process):
        await engine.until_recorded(50)
        process.signal(number)
        assert await process.ends() == 0
        await engine.until_closed()
        assert is_complete(engine)
        assert len(engine.of(Ended)) == 1
        assert Counter(call.operation for _, call in engine.calls) == Counter(shop.asked)


async def test_who_is_refused_goes(tmp_path: Path) -> None:
    """The engine says why, and the process says it on."""
    async with loaded(tmp_path) as (_, engine, process):
        await engine.until_recorded(20)
        engine.say(Refused("two of a kind"))
        assert await process.ends() == 3
        assert "Refused by the engine: two of a kind" in process.said()


async def test_another_host_is_loaded_when_it_may_be(tmp_path: Path) -> None:
    """Said by the plan, nothing stands in the way; here the name leads nowhere."""
    plan = plan_for("http://shop.invalid", may_load_host=True, timeout=1.0)
    async with (
        listening(plan, Sale(number=0, tickets={"general": ("1", "2")})) as engine,
        locust(
            tmp_path / "log", "--headless", "-u", "1", "--exit-code-on-error", "0", link=engine.address
        ) as process,
    ):
        await engine.until_recorded(1)
        await stopped(engine, process)
        assert {call.answer.outcome for _, call in engine.calls} == {Outcome.UNKNOWN}


async def test_fickle_buyers_ask_again_where_they_do_not_know(tmp_path: Path) -> None:
    """Half of them, once, under the same name and as a call of its own; who knows asks no more."""
    async with loaded(tmp_path, *_NO_MATTER, fickle=True) as (shop, engine, process):
        shop.broken = "fails"
        await engine.until_recorded(100)
        await stopped(engine, process)
        calls = {call.client: call for _, call in engine.calls}
        again = {name: call for name, call in calls.items() if name.endswith(" (again)")}
        assert len(calls) == len(engine.calls)
        unsure = [
            call for name, call in calls.items() if call.outcome is Outcome.UNKNOWN and name not in again
        ]
        assert 0 < len(again) < len(unsure)
        for name, call in again.items():
            before = calls[name.removesuffix(" (again)")]
            assert (before.outcome, before.operation) == (Outcome.UNKNOWN, call.operation)
            assert before.invoked < call.invoked


@pytest.mark.parametrize("fickle", [True, False])
async def test_only_fickle_buyers_give_up_before_the_answer_comes(tmp_path: Path, fickle: bool) -> None:
    """A few of them: what they asked for is done all the same."""
    async with loaded(tmp_path, *_NO_MATTER, users=100, fickle=fickle) as (shop, engine, process):
        shop.delay = 0.06
        await engine.until_recorded(1500)
        await stopped(engine, process)
        unsure = [call for _, call in engine.calls if call.outcome is Outcome.UNKNOWN]
        assert all("no answer within 0.0" in call.answer.detail for call in unsure)
        assert bool(unsure) is fickle
        assert len(unsure) < len(engine.calls) / 10
        assert len(shop.asked) == len(engine.calls)
