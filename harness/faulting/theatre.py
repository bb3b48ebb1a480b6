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

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import Self

    from harness.model import Running, Target


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
    """Brings up a theatre, and another one when the last is spent."""

    database: str
    start: Callable[[str], AbstractAsyncContextManager[Running]]
    ground: Ground
    isolation: str | None
    timeout: float
    tls: bool = False
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _theatre: Theatre | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bury()
        await self._stack.__aexit__(kind, error, trace)

    async def theatre(self) -> Theatre:
        """Return the theatre, brought up if there is none that can be used."""
        if self._theatre is not None and self._theatre.spent:
            await self.close()
        if self._theatre is None:
            made = await self._stack.enter_async_context(
                stage(
                    self.database,
                    self.start,
                    isolation=self.isolation,
                    timeout=self.timeout,
                    tls=self.tls,
                )
            )
            faults = {fault.name: fault for fault in FAULTS}
            ground = replace(self.ground, process=process_of(made.running) is not None)
            self._theatre = Theatre(made, ground, faults, Watch(made.monitor), self.database)
            await self._theatre.listen()
        return self._theatre

    async def close(self) -> None:
        """Take the theatre down; the next is a new one."""
        await self._bury()
        self._theatre = None
        stack, self._stack = self._stack, contextlib.AsyncExitStack()
        await stack.aclose()

    async def _bury(self) -> None:
        if self._theatre is not None:
            await self._theatre.bury()
