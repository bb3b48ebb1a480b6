"""Exploring a target in a test: the engine itself, on a copy of the target's schema."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.driving.guard import install, started
from harness.driving.tally import Tally
from harness.driving.trial import Settings, Trial
from harness.engines import ENGINES
from harness.errors import InconclusiveError
from tests.driving.fakes import Heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.model import Check, Scenario, Target
    from harness.postgres import Server

EXPLORE = ENGINES.get("explore")


@dataclass
class Explorer:
    """Explores one target as often as a test likes, each time on a fresh copy of its schema."""

    server: Server
    target: Target
    template: str
    folder: Path
    heard: Heard = field(default_factory=Heard)

    async def explore(
        self, scenario: Scenario, settings: Settings | None = None, laws: tuple[str, ...] | None = None
    ) -> Check:
        """Explore the scenario and return what came out, as the runner would."""
        tally = Tally(scenario=scenario, engine="explore", laws=laws, listen=self.heard)
        async with self.server.clone(self.template, "explored") as database:
            try:
                await EXPLORE.drive(
                    Trial(
                        target=self.target.name,
                        implementation=self.target,
                        folder=self.folder,
                        scenario=scenario,
                        start=lambda url: started(self.target, url, self.folder),
                        database=database,
                        settings=settings or Settings(),
                        tally=tally,
                    )
                )
            except InconclusiveError as error:
                tally.troubles.append(str(error))
        return tally.check()


@contextlib.asynccontextmanager
async def explorer_of(server: Server, target: Target, folder: Path) -> AsyncIterator[Explorer]:
    """Load the target's schema once and yield its explorer."""
    template = await server.create_template(lambda url: install(target, url), label="explored")
    yield Explorer(server, target, template, folder)
