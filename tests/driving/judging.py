"""Judging a target in a test: one check on the session's server, with everything the runner would do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.content import content
from harness.driving.guard import install, started
from harness.driving.scenarios import load_scenarios
from harness.driving.tally import Tally
from harness.driving.trial import Settings, Trial
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


class Judge:
    """Checks one target as often as a test likes, each time on a fresh copy of its schema."""

    def __init__(self, server: Server, target: Target, template: str, folder: Path) -> None:
        self._server, self._target, self._template, self._folder = server, target, template, folder

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
        tally = Tally(scenario=scenario, engine=engine.name, laws=None, listen=Heard())
        async with self._server.clone(self._template, "judged") as database:
            await engine.drive(
                Trial(
                    scenario=scenario,
                    start=lambda url: started(self._target, url, self._folder),
                    target=self._target.name,
                    database=database,
                    settings=Settings(seed=seed, rounds=rounds, schedules=schedules),
                    tally=tally,
                    supports=self._target.supports,
                )
            )
        return tally.check()


@contextlib.asynccontextmanager
async def judge_of(server: Server, target: Target, folder: Path) -> AsyncIterator[Judge]:
    """Load the target's schema once and yield its judge."""
    template = await server.create_template(lambda url: install(target, url), label="judged")
    yield Judge(server, target, template, folder)
