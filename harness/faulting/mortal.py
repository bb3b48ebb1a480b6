"""Clients that can die in the middle of a request, as the process that serves it would.

Where a target lives in our process, its process cannot be killed without us. What a kill would do is done to
the one request: its connections break, and its coroutine is never resumed, so that no ``except`` and no
``finally`` gets to compensate for anything. It hangs until everything has been judged, and is cancelled then.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from harness.faulting.steps import Request
    from harness.model import Answer, Client, Gate, Operation


@dataclass(slots=True)
class Mortal:
    """A client whose requests die with :attr:`harness.faulting.steps.Request.dead`."""

    client: Client
    request: Request

    async def perform(self, sale: Any, operation: Operation, gate: Gate) -> Answer:
        """Do one operation, as long as nobody dies."""
        return await _Performing(self.client.perform(sale, operation, gate), self.request)

    async def close(self) -> None:
        """Let go of the connection in an orderly way."""
        await self.client.close()

    def abandon(self) -> None:
        """Drop the connection."""
        self.client.abandon()


@dataclass(slots=True)
class _Performing:
    """Awaits a coroutine, until whoever runs it dies."""

    coroutine: Coroutine[Any, Any, Answer]
    request: Request

    def __await__(self) -> Generator[Any, Any, Answer]:
        go_on: Callable[[], Any] = functools.partial(self.coroutine.send, None)
        buried = False
        while True:
            try:
                waited_for = go_on()
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            try:
                yield waited_for
                go_on = functools.partial(self.coroutine.send, None)
            except BaseException as error:  # it is the coroutine's, whatever it is
                go_on = functools.partial(self.coroutine.throw, error)
            if self.request.dead and not buried:
                try:
                    yield from asyncio.get_running_loop().create_future()
                except BaseException as error:  # only a cancellation ends this
                    go_on, buried = functools.partial(self.coroutine.throw, error), True
