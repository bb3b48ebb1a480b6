"""The guard: a target that raises, hangs or returns garbage is named as the one at fault."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from harness.driving import guard
from harness.driving.guard import install, started, works_in_place
from harness.errors import InconclusiveError, TargetFailedError, UsageError
from harness.model import Books
from tests.driving.fakes import MemoryTarget, for_ever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

URL = "postgresql://nobody@nowhere/none"


class Spoiled(MemoryTarget):
    """A target of which one method was replaced."""

    def __init__(self, **replaced: Any) -> None:
        super().__init__()
        for name, value in replaced.items():
            setattr(self, name, value)


class Running:
    """A running target of which every method does the same."""

    def __init__(self, does: Callable[..., Any]) -> None:
        self.connect = self.open_sale = self.books = does


async def raising(*_: object) -> None:
    """Fail with some words."""
    raise RuntimeError("no such table: tickets")


async def hanging(*_: object) -> None:
    """Never come back."""
    await for_ever()


def plain(*_: object) -> None:
    """Be no coroutine function at all."""


def raising_at_once(*_: object) -> None:
    """Fail before there is anything to await."""
    raise RuntimeError("no such table: tickets")


async def exiting(*_: object) -> None:
    """Try to end the process."""
    raise SystemExit(0)


async def cancelling(*_: object) -> None:
    """Let a cancellation of its own making escape."""
    raise asyncio.CancelledError


def starts(running: object) -> Callable[..., Any]:
    """Return a start() that yields this."""

    @contextlib.asynccontextmanager
    async def start(*_: object) -> AsyncIterator[Any]:
        yield running

    return start


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give hanging targets a moment only."""
    monkeypatch.setattr(guard, "_START_TIMEOUT", 0.1)
    monkeypatch.setattr(guard, "_CALL_TIMEOUT", 0.1)


FAULTS = [
    (raising, "RuntimeError: no such table: tickets"),
    (raising_at_once, "RuntimeError: no such table: tickets"),
    (hanging, "within 0.1 s"),
    (plain, "TypeError"),
    (exiting, "SystemExit: 0"),
    (cancelling, "CancelledError"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
async def test_an_install_that_fails(fault: Callable[..., Awaitable[None]], words: str) -> None:
    """It is inconclusive, and says that loading the schema is what failed."""
    with pytest.raises(TargetFailedError, match="loading its schema") as caught:
        await install(Spoiled(install=fault), URL)
    assert words in str(caught.value)


@pytest.mark.parametrize(("fault", "words"), FAULTS)
@pytest.mark.parametrize(
    ("method", "doing"),
    [("connect", "connecting a client"), ("open_sale", "opening a sale"), ("books", "reading its books")],
)
async def test_a_running_target_that_fails(
    method: str, doing: str, fault: Callable[..., Awaitable[None]], words: str, tmp_path: Path
) -> None:
    """Whatever was asked of it is named."""
    async with started(Spoiled(start=starts(Running(fault))), URL, tmp_path) as running:
        with pytest.raises(TargetFailedError, match=doing) as caught:
            await getattr(running, method)("argument")
    assert words in str(caught.value)


@pytest.mark.parametrize("fault", [raising_at_once, plain, lambda *_: starts(None)])
async def test_a_start_that_gives_no_context_manager(fault: Callable[..., Any], tmp_path: Path) -> None:
    """What start() returns must be an async context manager."""
    with pytest.raises(TargetFailedError, match="starting"):
        async with started(Spoiled(start=fault), URL, tmp_path):
            pytest.fail("it did not start")


@pytest.mark.parametrize("fault", [raising, hanging])
async def test_a_start_that_fails_inside(fault: Callable[..., Awaitable[None]], tmp_path: Path) -> None:
    """Never ready, or ready with an error: the block is not entered, and the target could tidy up."""
    tidied = []

    @contextlib.asynccontextmanager
    async def start(*_: object) -> AsyncIterator[None]:
        try:
            await fault()
            yield
        finally:
            tidied.append("up")

    with pytest.raises(TargetFailedError, match="starting"):
        async with started(Spoiled(start=start), URL, tmp_path):
            pytest.fail("it did not start")
    assert tidied == ["up"]


@pytest.mark.parametrize("fault", [raising, hanging])
async def test_a_stop_that_fails(fault: Callable[..., Awaitable[None]], tmp_path: Path) -> None:
    """A target that cannot be stopped leaves the verdict open."""

    @contextlib.asynccontextmanager
    async def start(*_: object) -> AsyncIterator[None]:
        yield
        await fault()

    with pytest.raises(TargetFailedError, match="stopping"):
        async with started(Spoiled(start=start), URL, tmp_path):
            pass


async def test_the_target_is_stopped_when_the_block_fails(tmp_path: Path) -> None:
    """Whatever happens in between, the target's own clean-up runs, and the error goes on its way."""
    target = MemoryTarget()
    with pytest.raises(ZeroDivisionError):
        async with started(target, URL, tmp_path):
            raise ZeroDivisionError
    assert target.stopped == 1


@pytest.mark.parametrize(
    ("books", "words"),
    [
        ({"remaining": 3}, "are a dict, not a Books"),
        (None, "are a NoneType, not a Books"),
        (Books(stock=None), "stock"),  # type: ignore[arg-type]  # garbage is the point
        (Books(stock=("general",)), "tuple of Stock"),  # type: ignore[arg-type]  # garbage is the point
        (Books(stock=(), entries=[("general", "ada")]), "tuple of Entry"),  # type: ignore[arg-type]  # garbage is the point
    ],
)
async def test_garbage_books_are_refused(books: object, words: str, tmp_path: Path) -> None:
    """Laws are given nothing that they would stumble over."""

    async def answer(*_: object) -> object:
        return books

    async with started(Spoiled(start=starts(Running(answer))), URL, tmp_path) as running:
        with pytest.raises(TargetFailedError, match=words):
            await running.books(None)


@pytest.mark.parametrize("error", [UsageError("no such host"), InconclusiveError("not today")])
async def test_errors_of_ours_go_through_as_they_are(error: Exception) -> None:
    """What already says whose fault it is needs no second label."""

    async def fault(*_: object) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await install(Spoiled(install=fault), URL)
    assert caught.value is error


async def test_our_own_cancellation_goes_through() -> None:
    """An interrupted run is interrupted, and not blamed on the target."""
    began = asyncio.Event()

    async def slow(*_: object) -> None:
        began.set()
        await for_ever()

    with pytest.MonkeyPatch.context() as patient:
        patient.setattr(guard, "_START_TIMEOUT", 60.0)
        task = asyncio.ensure_future(install(Spoiled(install=slow), URL))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_only_a_target_that_says_so_works_in_place() -> None:
    """The attribute is optional."""
    assert not works_in_place(MemoryTarget())
    assert works_in_place(Spoiled(in_place=True))
