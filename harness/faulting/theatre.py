"""Theatres: a target on a stage, brought up anew when a fault left it unusable."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.driving.guard import starts_concurrently
from harness.exploring.stage import stage
from harness.faulting.fault import Ground, Place
from harness.faulting.faults import FAULTS
from harness.faulting.performing import Theatre, process_of
from harness.faulting.pooling import pooling, through
from harness.faulting.watch import Watch
from harness.postgres import Reaper
from harness.postgres.embedded import installations, run_postmaster
from harness.postgres.pooler import find_pooler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from harness.faulting.fault import Fault
    from harness.faulting.pooling import Pooling
    from harness.model import Injection, Running, Target
    from harness.postgres.embedded import Postmaster


def ground_of(target: Target) -> Ground:
    """Return what a target says of itself.

    One that runs in a process of its own has an attribute ``own_process`` that is true; one whose driver
    wants to be told of a pooler says in ``through_pooler`` with which parameters of the URL.
    """
    return Ground(
        supports=target.supports,
        own_process=bool(getattr(target, "own_process", False)),
        keys=bool(getattr(target, "takes_keys", False)),
        concurrent=starts_concurrently(target),
        through_pooler=str(getattr(target, "through_pooler", "")),
    )


@dataclass(slots=True)
class House:
    """Brings up theatres, and another one when the last is spent.

    There is one for each :class:`~harness.faulting.fault.Place` at most, brought up when something is to be
    fired there; one at a time, where the target cannot be started several times at once.
    """

    database: str
    start: Callable[[str], AbstractAsyncContextManager[Running]]
    ground: Ground
    isolation: str | None
    timeout: float
    tls: bool = False
    install: Callable[[str], Awaitable[None]] | None = None
    """Loads the target's schema into an empty database; without it there is no server of its own."""
    faults: Mapping[str, Fault] = field(default_factory=lambda: {fault.name: fault for fault in FAULTS})
    _stacks: dict[Place, contextlib.AsyncExitStack] = field(default_factory=dict)
    _theatres: dict[Place, Theatre] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in reversed(Place):
            await self.close(place)

    async def theatre(self, injections: Iterable[Injection] = ()) -> Theatre:
        """Return the theatre in which these faults can be fired, brought up if there is none to be used."""
        place = self.place_of(injections)
        for other in Place:
            # Two at once might share what the target keeps in a module.
            if other is not place and not self.ground.concurrent:
                await self.close(other)
        if place in self._theatres and self._theatres[place].spent:
            await self.close(place)
        if place not in self._theatres:
            stack = self._stacks[place] = contextlib.AsyncExitStack()
            try:
                self._theatres[place] = await self._bring_up(stack, place)
            except BaseException:
                await self.close(place)
                raise
        return self._theatres[place]

    def place_of(self, injections: Iterable[Injection]) -> Place:
        """Return where these faults can be fired."""
        return max((self.faults[each.fault].place for each in injections), default=Place.HERE)

    def relies_on_prepared(self, place: Place) -> str:
        """Return what is to be said of a target that was seen to rely on prepared statements there."""
        theatre = self._theatres.get(place)
        return "" if theatre is None or theatre.pooling is None else theatre.pooling.complaint

    async def close(self, place: Place) -> None:
        """Take a theatre down, if there is one; the next is a new one."""
        theatre = self._theatres.pop(place, None)
        if theatre is not None:
            await theatre.bury()
        stack = self._stacks.pop(place, None)
        if stack is not None:
            await stack.aclose()

    async def _bring_up(self, stack: contextlib.AsyncExitStack, place: Place) -> Theatre:
        postmaster = await self._server(stack) if place is Place.OWN_SERVER else None
        database = self.database if postmaster is None else postmaster.url
        pooled = _Pooled(self.ground.through_pooler) if place is Place.POOLED else None
        made = await stack.enter_async_context(
            stage(
                database,
                self.start,
                isolation=self.isolation,
                timeout=self.timeout,
                tls=self.tls and pooled is None,
                through=contextlib.nullcontext if pooled is None else pooled.between,
            )
        )
        ground = replace(
            self.ground,
            process=process_of(made.running) is not None,
            own_server=self.install is not None and bool(installations()),
            pooler=find_pooler() is not None,
        )
        watch = Watch(made.monitor)
        between = None if pooled is None else pooled.pooling
        theatre = Theatre(made, ground, self.faults, watch, database, postmaster, between)
        await theatre.listen()
        return theatre

    async def _server(self, stack: contextlib.AsyncExitStack) -> Postmaster:
        """Bring up a server of our own, with fsync on, and load the target's schema."""
        assert self.install is not None  # noqa: S101  # otherwise such faults are impossible
        reaper = stack.enter_context(Reaper())
        postmaster = await stack.enter_async_context(run_postmaster(reaper, durable=True))
        await self.install(postmaster.url)
        return postmaster


@dataclass(slots=True)
class _Pooled:
    """What stands between a target and the proxy, once it does."""

    query: str
    pooling: Pooling | None = None

    @contextlib.asynccontextmanager
    async def between(self, url: str) -> AsyncIterator[str]:
        """Put a pooler before the proxy, and yield the URL that leads through it."""
        async with pooling(url) as self.pooling:
            yield through(url, self.pooling.gate, self.query)
