"""Judging a target in a test: one check on the session's server, with everything the runner would do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.content import content
from harness.driving.checking import Subject, check
from harness.driving.guard import install
from harness.driving.scenarios import load_scenarios
from harness.driving.trial import Settings
from harness.engines import ENGINES
from tests.driving.fakes import Heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.driving.trial import Engine
    from harness.model import Check, Scenario, Target
    from harness.postgres import Server

BURST = ENGINES.get("burst")


def shipped(name: str, buyers: int | None = None) -> Scenario:
    """Return a scenario that comes with the harness."""
    return load_scenarios([content("scenarios")])[name].build(buyers)


@dataclass
class Judge:
    """Checks one target as often as a test likes, each time on a fresh copy of its schema."""

    server: Server
    target: Target
    template: str
    folder: Path
    heard: Heard = field(default_factory=Heard)

    async def check(
        self,
        scenario: Scenario,
        *,
        rounds: int = 5,
        seed: int = 0,
        engine: Engine = BURST,
        schedules: int = 2000,
    ) -> Check:
        """Drive the scenario and return what came out."""
        return await self.drive(scenario, engine, Settings(seed=seed, rounds=rounds, schedules=schedules))

    async def drive(
        self, scenario: Scenario, engine: Engine, settings: Settings, laws: tuple[str, ...] | None = None
    ) -> Check:
        """Drive the scenario as the runner would, and return what came out."""
        subject = Subject(
            target=self.target, name=self.target.name, folder=self.folder, settings=settings, laws=laws
        )
        database = self.server.clone(self.template, "judged")
        return await check(subject, scenario, engine, database=database, listen=self.heard)


@contextlib.asynccontextmanager
async def judge_of(server: Server, target: Target, folder: Path) -> AsyncIterator[Judge]:
    """Load the target's schema once and yield its judge."""
    template = await server.create_template(lambda url: install(target, url), label="judged")
    yield Judge(server, target, template, folder)
