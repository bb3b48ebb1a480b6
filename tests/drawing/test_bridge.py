"""The bridge between Hypothesis' thread and the event loop: what ends it, and that nothing is left."""

from __future__ import annotations

import asyncio
import random
import threading

import pytest

from harness.drawing.bridge import Bridge, StoppedError
from harness.errors import InconclusiveError, TargetFailedError
from tests.turns import next_turn


async def until_no_thread_is_left() -> None:
    """Wait until the threads that Hypothesis runs in have ended."""
    threads = [thread for thread in threading.enumerate() if thread.name == "hypothesis"]
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
    assert not any(thread.is_alive() for thread in threads)


async def test_a_thread_has_its_waiting_done_in_the_loop() -> None:
    """What it asks for is done by the very task that serves it, and the result comes back."""
    bridge = Bridge(10)
    mine = asyncio.current_task()

    async def ask() -> bool:
        await next_turn()
        return asyncio.current_task() is mine

    assert await bridge.serve(lambda: [bridge.wait_for(ask), bridge.wait_for(ask)]) == [True, True]
    await until_no_thread_is_left()


async def test_an_error_of_the_target_ends_it_and_is_no_failing_example() -> None:
    """In the thread nothing is seen but that it is over, which Hypothesis lets through."""
    bridge = Bridge(10)
    seen: list[type[BaseException]] = []

    async def fail() -> None:
        raise TargetFailedError("it died")

    def work() -> None:
        for _ in range(3):
            try:
                bridge.wait_for(fail)
            except KeyboardInterrupt as error:
                seen.append(type(error))

    with pytest.raises(TargetFailedError, match="it died"):
        await bridge.serve(work)
    assert seen == [StoppedError] * 3
    await until_no_thread_is_left()


async def test_a_cancellation_meets_what_is_under_way_and_ends_the_thread() -> None:
    """It reaches the coroutine itself, whose cleaning up is done before anybody goes on."""
    bridge = Bridge(10)
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    serving = asyncio.create_task(bridge.serve(lambda: bridge.wait_for(wait)))
    await begun.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert cleaned.is_set()
    await until_no_thread_is_left()


async def test_a_step_that_never_ends_is_given_up() -> None:
    """After its limit, with what that means."""
    bridge = Bridge(0.05)
    with pytest.raises(InconclusiveError, match=r"did not end within 0\.05 s"):
        await bridge.serve(lambda: bridge.wait_for(asyncio.Event().wait))
    await until_no_thread_is_left()


async def test_a_timeout_of_the_targets_own_is_not_taken_for_ours() -> None:
    """It goes on as what it is."""
    bridge = Bridge(10)

    async def fail() -> None:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        await bridge.serve(lambda: bridge.wait_for(fail))


async def test_a_target_in_this_process_keeps_its_luck() -> None:
    """Hypothesis seeds Python's global generator anew for every example; the target must not notice."""
    bridge = Bridge(10)

    async def name() -> float:
        return random.random()  # noqa: S311  # it stands for a target that names things by chance

    def work() -> list[float]:
        names = []
        for _ in range(20):
            random.seed(0)
            names.append(bridge.wait_for(name))
        return names

    names = await bridge.serve(work)
    assert len(set(names)) == len(names)
