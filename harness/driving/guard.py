"""The guard: every call into somebody else's implementation is bounded, and its faults are named as its own.

What a target raises, or that it never answers, makes a run inconclusive. It is never a bug of ours, and
it never hangs us.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.driving.program import describe, is_cancelled_from_outside
from harness.driving.shapes import fault_of_books
from harness.errors import OversellError, TargetFailedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from harness.model import Books, Client, Running, Target, TicketType

T = TypeVar("T")

_START_TIMEOUT = 60.0
_CALL_TIMEOUT = 30.0


def works_in_place(target: Target) -> bool:
    """Say whether a target works on a database of its own, so that checks cannot be given copies.

    Such a target has an attribute ``in_place`` that is true; others need not have it.
    """
    return bool(getattr(target, "in_place", False))


def starts_concurrently(target: Target) -> bool:
    """Say whether a target can be started several times at once, each on a database of its own.

    Such a target has an attribute ``starts_concurrently`` that is true. Others may keep something in the
    memory of the process, such as a pool in a module, that two of them would share.
    """
    return bool(getattr(target, "starts_concurrently", False))


async def install(target: Target, database: str) -> None:
    """Load the target's schema.

    :raises TargetFailedError: when it raises, or takes longer than a minute.
    """
    await _bounded("loading its schema", lambda: target.install(database), _START_TIMEOUT)


@contextlib.asynccontextmanager
async def started(target: Target, database: str, folder: Path) -> AsyncIterator[Running]:
    """Start the target for the length of a block; its methods are guarded within.

    :raises TargetFailedError: when it does not start within a minute, or raises on the way.
    """
    context, running = await _bounded(
        "starting", lambda: _entered(target.start(database, folder)), _START_TIMEOUT
    )
    try:
        yield _Guarded(running)
    finally:
        await _bounded("stopping", lambda: context.__aexit__(None, None, None), _CALL_TIMEOUT)


async def _entered(
    context: AbstractAsyncContextManager[Running],
) -> tuple[AbstractAsyncContextManager[Running], Running]:
    return context, await context.__aenter__()


class _Guarded:
    """A running target whose faults are its own. It has ``ticket_ids`` where the target has."""

    def __init__(self, running: Running) -> None:
        self._running = running
        if callable(getattr(running, "ticket_ids", None)):
            self.ticket_ids = self._ticket_ids

    def __getattr__(self, name: str) -> Any:
        """Return what a target offers beyond the protocol, as it is."""
        return getattr(self._running, name)

    async def connect(self, name: str) -> Client:
        return await _bounded("connecting a client", lambda: self._running.connect(name), _CALL_TIMEOUT)

    async def open_sale(self, tickets: Sequence[TicketType]) -> Any:
        return await _bounded("opening a sale", lambda: self._running.open_sale(tickets), _CALL_TIMEOUT)

    async def books(self, sale: Any) -> Books:
        books: object = await _bounded("reading its books", lambda: self._running.books(sale), _CALL_TIMEOUT)
        if fault := fault_of_books(books):
            raise TargetFailedError(fault)
        return cast("Books", books)

    def _ticket_ids(self, sale: Any) -> Mapping[str, str]:
        try:
            named = self._running.ticket_ids(sale)  # type: ignore[attr-defined]  # others need not have it
            return {str(identity): str(name) for identity, name in named.items()}
        except Exception as error:
            raise TargetFailedError(
                f"the target failed while saying what its tables call a ticket type: {describe(error)}"
            ) from error


async def _bounded(doing: str, call: Callable[[], Awaitable[T]], timeout: float) -> T:
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await call()
    except OversellError:
        raise
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and is_cancelled_from_outside():
            raise
        if limit.expired():
            raise TargetFailedError(f"the target did not finish {doing} within {timeout:g} s") from None
        raise TargetFailedError(f"the target failed while {doing}: {describe(error)}") from error
