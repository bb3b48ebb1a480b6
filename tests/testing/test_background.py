"""The thread in which checks run while pytest waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from harness.testing._background import Background
from tests.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def background() -> Iterator[Background]:
    """One thread for a test."""
    made = Background()
    yield made
    made.close()


def test_work_is_done_elsewhere_and_its_result_comes_back(background: Background) -> None:
    """Neither the thread nor the loop is that of the tests."""

    async def work() -> str:
        return threading.current_thread().name

    assert background.run(work()) == "oversell"


def test_an_error_of_the_work_is_raised_where_it_was_asked_for(background: Background) -> None:
    """As if it had been called."""

    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        background.run(work())


async def test_a_loop_that_is_running_here_is_no_obstacle() -> None:
    """Some plugins keep theirs running while a test is called."""
    background = Background()
    assert background.run(after_a_turn("done")) == "done"
    background.close()


async def after_a_turn(word: str) -> str:
    await next_turn()
    return word


def test_an_interruption_cancels_the_work_and_waits_until_it_has_tidied_up(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C, or the time-out of some plugin, is raised in the main thread."""
    begun, told = threading.Event(), []

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await next_turn()
            told.append("tidied up")

    def interrupted(future: object, timeout: float | None = None) -> None:
        begun.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.run(work())
    monkeypatch.undo()
    assert told == ["tidied up"]
    assert background.run(after_a_turn("usable")) == "usable"


def test_what_was_entered_is_left_at_the_end() -> None:
    """Servers that were brought up for one test stay for the next, and end with the session."""
    told = []

    @contextlib.asynccontextmanager
    async def server() -> AsyncIterator[str]:
        yield "up"
        told.append("down")

    background = Background()
    assert background.run(background.stack.enter_async_context(server())) == "up"
    assert told == []
    background.close()
    assert told == ["down"]


def test_an_error_on_the_way_out_is_not_swallowed() -> None:
    """Something that could not be stopped is said."""

    async def fail() -> None:
        raise OSError("still there")

    background = Background()
    background.stack.push_async_callback(fail)
    with pytest.raises(OSError, match="still there"):
        background.close()
