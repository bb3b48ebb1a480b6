"""Checks by a swarm, and what of it can be reached from outside: its processes, its progress, its records."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.content import content
from harness.driving.checking import Subject, check
from harness.driving.guard import install
from harness.driving.scenarios import load_scenarios
from harness.driving.trial import Settings
from harness.engines import ENGINES
from harness.model.events import LoadProgressed
from harness.swarming.joining import survey
from tests.cli.commandline import carrying
from tests.driving.fakes import Heard

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from harness.load.plan import LoadSettings
    from harness.model import Check, Scenario, Target
    from harness.model.events import Event
    from harness.postgres import Server

SWARM = ENGINES.get("swarm")
RUSH = load_scenarios([content("scenarios")])["rush"].build()


@dataclass
class Load(Heard):
    """A listener that notices when there is load."""

    buying: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, LoadProgressed) and event.rate:
            self.buying.set()


@dataclass
class Swarmed:
    """Runs checks, and knows their processes by what they inherit."""

    server: Server
    folder: Path
    mark: str
    heard: Load = field(default_factory=Load)
    checking: asyncio.Task[Check] | None = None

    async def check(
        self,
        target: Target,
        load: LoadSettings,
        *,
        scenario: Scenario = RUSH,
        seed: int = 0,
        meanwhile: Callable[[], Awaitable[Any]] | None = None,
    ) -> Check:
        """Check a target; once there is load, something may happen."""
        subject = Subject(
            target=target,
            name=target.name,
            folder=self.folder,
            settings=Settings(load=load, operation_timeout=3.0, seed=seed),
        )
        async with self.server.template(lambda url: install(target, url), label="swarm") as template:
            self.checking = asyncio.create_task(
                check(
                    subject,
                    scenario,
                    SWARM,
                    database=self.server.clone(template, "swarm"),
                    listen=self.heard,
                )
            )
            try:
                if meanwhile is not None:
                    await self._load(self.checking)
                    await meanwhile()
            except BaseException:
                self.checking.cancel()
                await asyncio.wait({self.checking})
                raise
            return await self.checking

    async def _load(self, checking: asyncio.Task[Check]) -> None:
        """Wait until people are buying, or will never be."""
        buying = asyncio.create_task(self.heard.buying.wait())
        await asyncio.wait({buying, checking}, return_when=asyncio.FIRST_COMPLETED)
        buying.cancel()

    def processes(self, *words: str) -> list[int]:
        """Return the processes of these checks whose command line has all these words."""
        return [pid for pid, line in carrying(self.mark).items() if all(word in line for word in words)]

    def signal(self, number: signal.Signals, *words: str) -> None:
        """Send a signal to the first of them."""
        os.kill(min(self.processes(*words)), number)

    @property
    def progress(self) -> LoadProgressed:
        """The last that was told of how it goes."""
        last: LoadProgressed = self.heard.of(LoadProgressed)[-1]
        return last

    @property
    def kept(self) -> int:
        """How many records the run folder holds."""
        return survey(self.folder / "swarm" / "rush" / "history").records
