"""The conversation: what the engine hears from Locust's processes, and what it tells them.

One task listens, for as long as there is somebody to listen to. It answers what wants an answer at once: a
process that comes is told the plan and the sale that is on, a question for the time is told it, a chunk is
written down and then acknowledged. What else it hears it remembers, for the engine to look at.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.load.messages import (
    Chunk,
    Clock,
    Ended,
    Hello,
    NoMessageError,
    Opened,
    Planned,
    Refused,
    Stats,
    Stop,
    Trouble,
    Workers,
)
from harness.swarming.gathering import HistoryLostError
from harness.swarming.link import LinkLostError, refusal

if TYPE_CHECKING:
    from harness.load.messages import Message
    from harness.load.plan import LoadPlan, Sale
    from harness.swarming.gathering import Gatherer
    from harness.swarming.link import Link

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MISSING = "missing"
"""Locust's word for a worker that no longer says that it is there."""


@dataclass(slots=True)
class Conversation:
    """Both sides of it, as far as the engine is concerned."""

    link: Link
    gatherer: Gatherer
    plan: LoadPlan
    stats: Stats = field(default_factory=lambda: Stats(0, 0, 0, 0.0, 0.0, 0.0))
    """How it went when last heard of."""
    troubles: list[str] = field(default_factory=list)
    """What makes a pass worthless, in one line each."""
    began: float | None = None
    """When the first requests were heard of, by the monotonic clock."""
    grew: float | None = None
    """When the last requests were heard of, likewise."""
    most_users: int = 0
    stopped_at: float | None = None
    """When the load was told to end, likewise; ``None`` while it goes on."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """There is nobody to listen to any more."""
    _newest: Sale | None = None
    _workers: set[str] = field(default_factory=set)
    """Those that Locust's master knows of."""

    async def listen(self) -> None:
        """Listen until the other side has closed, or can no longer be understood."""
        try:
            await self._hear(await self.link.connected())
            while (message := await self.link.receive()) is not None:
                await self._hear(message)
        except HistoryLostError as error:
            self.troubles.append(str(error))
        except NoMessageError as error:
            self.troubles.append(f"what Locust sent cannot be understood: {error}")
        except LinkLostError as error:
            if self.stopped_at is None:
                self.troubles.append(str(error))
        finally:
            # The other side waits for this before it closes its own end.
            self.link.close()
            self.over.set()

    async def announce(self, sale: Sale) -> None:
        """Tell buyers of a sale: from now on they visit this one."""
        self._newest = sale
        if self.link.is_connected:
            await self._tell(Opened(sale))

    async def stop(self, reason: str) -> None:
        """Have the load end in an orderly way."""
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
            if self.link.is_connected:
                await self._tell(Stop(reason))

    async def tell(self, message: Message) -> None:
        """Tell something that it does no harm not to hear."""
        if self.link.is_connected:
            await self._tell(message)

    def doubt(self, trouble: str) -> None:
        """Note once what makes a pass worthless."""
        if trouble not in self.troubles:
            self.troubles.append(trouble)

    async def _tell(self, message: Message) -> None:
        """Tell something; if there is nobody any more, that is noticed where it is listened to."""
        with contextlib.suppress(LinkLostError):
            await self.link.send(message)

    async def _hear(self, message: Message) -> None:
        match message:
            case Hello():
                await self._greet(message)
            case Chunk():
                await self.link.send(await self.gatherer.take(message))
            case Ended():
                await self.gatherer.end(message)
            case Clock():
                told = Clock(message.worker, message.sent, _boot_id(), time.monotonic_ns())
                await self.link.send(told)
            case Workers():
                self._look_at(message)
            case Stats():
                if message.requests > self.stats.requests:
                    self.grew = time.monotonic()
                self.stats = message
                self.most_users = max(self.most_users, message.users)
                if self.began is None and message.users:
                    self.began = time.monotonic()
            case Trouble():
                who = f"the worker {message.worker}" if message.worker else "Locust"
                self.troubles.append(f"{who}: {message.text}")
            case _:
                raise NoMessageError(f"nobody but the engine says {message.type!r}")

    async def _greet(self, hello: Hello) -> None:
        reason = refusal(hello)
        if reason is not None:
            self.troubles.append(reason)
            await self.link.send(Refused(reason))
            return
        if hello.worker and self.plan.record:
            self.gatherer.expect(hello.worker)
        await self.link.send(Planned(self.plan))
        if self._newest is not None:
            await self.link.send(Opened(self._newest))

    def _look_at(self, heard: Workers) -> None:
        """Note who is missing: a worker that hangs or has died, or left before it had sent everything."""
        for worker, state in heard.states.items():
            if state == _MISSING:
                self.doubt(f"the worker {worker} hangs, died or lost the master")
        if self.stopped_at is None:
            for worker in self._workers - set(heard.states):
                if not self.gatherer.has_ended(worker):
                    self.doubt(f"the worker {worker} left before it had sent everything")
        self._workers = set(heard.states)


def _boot_id() -> str:
    """Return the kernel's boot id: processes with the same share a clock."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
