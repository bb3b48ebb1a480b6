"""Gates and barriers. Every order is made by events; nothing here waits for time to pass."""

from __future__ import annotations

import asyncio

import pytest

from harness.driving.gate import Barrier, BarrierGate, OpenGate

PATIENCE = 30.0


class Watched(Barrier):
    """A barrier that says when somebody has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came: asyncio.Queue[BarrierGate] = asyncio.Queue()

    def arrive(self, gate: BarrierGate) -> None:
        super().arrive(gate)
        self.came.put_nowait(gate)


async def test_an_open_gate_holds_nobody_and_remembers_the_first_passing() -> None:
    """The last step is taken at once; a second passing does not move the time of the first."""
    gate, taken = OpenGate(), []
    await gate(lambda: taken.append("step"))
    first = gate.passed_at
    await gate()
    assert taken == ["step"]
    assert gate.passed.is_set()
    assert first is not None
    assert gate.passed_at == first


async def test_a_barrier_opens_when_the_last_has_come_and_not_before() -> None:
    """Whoever came first stands there, unreleased, until the last one arrives."""
    barrier, log = Watched(), []
    first, last = barrier.gate(), barrier.gate()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(first(lambda: log.append("first")))
        group.create_task(barrier.open_when_ready(PATIENCE))
        await barrier.came.get()
        assert (barrier.is_open, first.passed_at, log) == (False, None, [])
        log.append("the last one comes")
        await last(lambda: log.append("last"))
    assert log == ["the last one comes", "first", "last"]


async def test_last_steps_are_taken_in_one_go_in_the_order_of_arrival() -> None:
    """All last steps happen before any client goes on, so the spread is no walk through the event loop."""
    barrier, log = Watched(), []

    async def client(name: str, gate: BarrierGate) -> None:
        await gate(lambda: log.append(f"{name} released"))
        log.append(f"{name} goes on")

    names = ["a", "b", "c"]
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        gates = {name: barrier.gate() for name in names}
        for name in names:
            group.create_task(client(name, gates[name]))
            await barrier.came.get()
        await barrier.open_when_ready(PATIENCE)
        assert log == ["a released", "b released", "c released"]
    assert log[3:] == ["a goes on", "b goes on", "c goes on"]
    times = [gate.passed_at for gate in gates.values()]
    assert times == sorted(times, key=lambda time: time or 0)


async def test_a_client_without_a_last_step_passes_when_it_goes_on() -> None:
    """A target that cannot prepare is timed where its operation can happen, not where the barrier opened."""
    barrier = Watched()
    gate = barrier.gate()
    task = asyncio.ensure_future(gate())
    await barrier.came.get()
    await barrier.open_when_ready(PATIENCE)
    assert gate.passed_at is None
    await task
    assert gate.passed_at is not None


async def test_a_latecomer_passes_on_arrival() -> None:
    """The barrier gives up on who does not come in time; who comes after that is not held."""
    barrier, log = Watched(), []
    here, late = barrier.gate(), barrier.gate()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(here(lambda: log.append("here")))
        await barrier.came.get()
        await barrier.open_when_ready(0)
        assert log == ["here"]
        await late(lambda: log.append("late"))
    assert log == ["here", "late"]


async def test_a_client_that_ended_is_not_waited_for() -> None:
    """A program that never reaches its gate does not keep the others standing."""
    barrier, log = Watched(), []
    here, gone = barrier.gate(), barrier.gate()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(here(lambda: log.append("here")))
        await barrier.came.get()
        barrier.leave(gone)
        await barrier.open_when_ready(10 * PATIENCE)
    assert log == ["here"]


async def test_a_gate_abandoned_while_waiting_does_not_stop_the_others() -> None:
    """A client cancelled at its gate is over; the barrier opens for the rest."""
    barrier, log = Watched(), []
    first, second = barrier.gate(), barrier.gate()
    task = asyncio.ensure_future(first(lambda: log.append("first")))
    await barrier.came.get()
    task.cancel()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(second(lambda: log.append("second")))
        await barrier.came.get()
        await barrier.open_when_ready(PATIENCE)
    assert "second" in log
    assert task.cancelled()


async def test_a_last_step_that_fails_is_its_own_clients_affair() -> None:
    """It is raised where that client waits; everybody else is released all the same."""
    barrier, log = Watched(), []

    def broken() -> None:
        raise OSError("no route")

    bad, good = barrier.gate(), barrier.gate()
    failing = asyncio.ensure_future(bad(broken))
    await barrier.came.get()
    passing = asyncio.ensure_future(good(lambda: log.append("good")))
    await barrier.came.get()
    await barrier.open_when_ready(PATIENCE)
    await passing
    assert log == ["good"]
    with pytest.raises(OSError, match="no route"):
        await failing


async def test_a_barrier_nobody_comes_to_opens_at_once() -> None:
    """A phase without programs costs no time-out."""
    barrier = Barrier()
    async with asyncio.timeout(PATIENCE):
        await barrier.open_when_ready(10 * PATIENCE)
    assert barrier.is_open


async def test_the_spread_is_measured_between_the_first_release_and_the_last() -> None:
    """It is the distance of the earliest and the latest passing, and needs two of them."""
    barrier = Watched()
    gates = [barrier.gate() for _ in range(3)]
    tasks = []
    for gate in gates:
        tasks.append(asyncio.ensure_future(gate(lambda: None)))
        await barrier.came.get()
    assert barrier.spread() is None
    await barrier.open_when_ready(PATIENCE)
    await asyncio.gather(*tasks)
    gates[0].passed_at, gates[1].passed_at, gates[2].passed_at = 5_000_000, 2_000_000, 3_000_000
    assert barrier.spread() == pytest.approx(0.003)


async def test_one_release_has_no_spread() -> None:
    """A crowd of one overlaps with nobody."""
    barrier = Watched()
    task = asyncio.ensure_future(barrier.gate()(lambda: None))
    await barrier.came.get()
    await barrier.open_when_ready(PATIENCE)
    await task
    assert barrier.spread() is None
