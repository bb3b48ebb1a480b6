"""A pool of a target's clients: so many operations at a time, and a client that broke is replaced."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from harness.driving.gate import OpenGate
from harness.driving.program import Patience, perform
from harness.errors import TargetFailedError
from harness.model import Answer, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model import Client, Operation, Running


class _Place:
    """Room for one client; there is none in it when the last one broke."""

    def __init__(self, client: Client) -> None:
        self.client: Client | None = client

    def clear(self) -> None:
        """Drop the client; one that cannot even do that is forgotten all the same."""
        client, self.client = self.client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.abandon()


class Pool:
    """The clients of a running target, whose methods are guarded (:mod:`harness.driving.guard`)."""

    def __init__(self, running: Running, timeout: float) -> None:
        """Begin without clients.

        :param timeout: seconds for a client to come free, and again seconds for each answer.
        """
        self.fault: str | None = None
        """Why a client could not be connected, until one can again."""
        self._running = running
        self._timeout = timeout
        self._places: list[_Place] = []
        self._free: asyncio.LifoQueue[_Place] = asyncio.LifoQueue()
        self._made = 0

    async def fill(self, clients: int) -> None:
        """Connect so many more.

        :raises TargetFailedError: when one cannot be connected.
        """
        for _ in range(clients):
            place = _Place(await self._connect())
            self._places.append(place)
            self._free.put_nowait(place)

    async def perform(self, sale: Any, operations: Iterable[Operation]) -> list[Answer]:
        """Have operations done on one client, one after the other, up to the first that is not accepted.

        When no client can be had, nothing was done: that is a reason to come back later.
        """
        try:
            async with asyncio.timeout(self._timeout):
                place = await self._free.get()
        except TimeoutError:
            return [Answer(Outcome.RETRYABLE, detail=f"no client came free within {self._timeout:g} s")]
        try:
            return await self._perform(place, sale, operations)
        except TargetFailedError as error:
            return [Answer(Outcome.RETRYABLE, detail=str(error)[:200])]
        except BaseException:
            place.clear()
            raise
        finally:
            self._free.put_nowait(place)

    def abandon(self) -> None:
        """Drop all clients, whatever is under way on them."""
        for place in self._places:
            place.clear()

    async def _connect(self) -> Client:
        self._made += 1
        try:
            client = await self._running.connect(f"gateway-{self._made}")
        except TargetFailedError as error:
            self.fault = str(error)
            raise
        self.fault = None
        return client

    async def _perform(self, place: _Place, sale: Any, operations: Iterable[Operation]) -> list[Answer]:
        client = place.client = place.client or await self._connect()
        answers: list[Answer] = []
        for operation in operations:
            call = await perform(client, sale, operation, OpenGate(), Patience(self._timeout))
            answers.append(call.answer)
            if call.completed is None:
                place.clear()
            if call.answer.outcome is not Outcome.ACCEPTED:
                break
        return answers
