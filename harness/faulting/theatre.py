"""Theatres: a target on a stage, brought up anew when a fault left it unusable."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.exploring.stage import stage
from harness.faulting.fault import Ground
from harness.faulting.faults import FAULTS
from harness.faulting.performing import Theatre, process_of
from harness.faulting.watch import Watch
from harness.postgres import Reaper
from harness.postgres.embedded import installations, run_postmaster

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from harness.faulting.fault import Fault
    from harness.model import Injection, Running, Target
    from harness.postgres.embedded import Postmaster


def ground_of(target: Target) -> Ground:
    """Return what a target says of itself.

    One that runs in a process of its own has an attribute ``own_process`` that is true.
    """
    return Ground(
        supports=target.supports,
        own_process=bool(getattr(target, "own_process", False)),
        keys=bool(getattr(target, "takes_keys", False)),
    )


@dataclass(slots=True)
class House:
    """Brings up theatres, and another one when the last is spent.

    There are two at most: one on the database given, and one on a server of its own, which is brought up
    when something is to be fired that takes Postgres down.
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
    _stacks: dict[bool, contextlib.AsyncExitStack] = field(default_factory=dict)
    _theatres: dict[bool, Theatre] = field(default_factory=dict)
    """By whether it has a server of its own."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for apart in (True, False):
            await self._close(apart)

    async def theatre(self, injections: Iterable[Injection] = ()) -> Theatre:
        """Return the theatre in which these faults can be fired, brought up if there is none to be used."""
        apart = any(self.faults[each.fault].apart for each in injections)
        if apart in self._theatres and self._theatres[apart].spent:
            await self._close(apart)
        if apart not in self._theatres:
            stack = self._stacks[apart] = contextlib.AsyncExitStack()
            try:
                self._theatres[apart] = await self._bring_up(stack, apart)
            except BaseException:
                await self._close(apart)
                raise
        return self._theatres[apart]

    async def close(self, theatre: Theatre) -> None:
        """Take a theatre down; the next is a new one."""
        for apart in [apart for apart, each in self._theatres.items() if each is theatre]:
            await self._close(apart)

    async def _close(self, apart: bool) -> None:
        theatre = self._theatres.pop(apart, None)
        if theatre is not None:
            await theatre.bury()
        stack = self._stacks.pop(apart, None)
        if stack is not None:
            await stack.aclose()

    async def _bring_up(self, stack: contextlib.AsyncExitStack, apart: bool) -> Theatre:
        postmaster = await self._server(stack) if apart else None
        database = self.database if postmaster is None else postmaster.url
        made = await stack.enter_async_context(
            stage(database, self.start, isolation=self.isolation, timeout=self.timeout, tls=self.tls)
        )
        ground = replace(
            self.ground,
            process=process_of(made.running) is not None,
            own_server=self.install is not None and bool(installations()),
        )
        theatre = Theatre(made, ground, self.faults, Watch(made.monitor), database, postmaster)
        await theatre.listen()
        return theatre

    async def _server(self, stack: contextlib.AsyncExitStack) -> Postmaster:
        """Bring up a server of our own, with fsync on, and load the target's schema."""
        assert self.install is not None  # noqa: S101  # otherwise such faults are impossible
        reaper = stack.enter_context(Reaper())
        postmaster = await stack.enter_async_context(run_postmaster(reaper, durable=True))
        await self.install(postmaster.url)
        return postmaster
