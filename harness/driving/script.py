"""The story's own test script, to be compared with: twenty promises, once, and the successes counted.

All buyers are sent off one after another without waiting for any, as ``Promise.all`` over ``fetch`` does, and
that is all there is to it: nobody looks into the books, and nothing is repeated.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.driving.gate import OpenGate
from harness.driving.program import Patience, Recorder, drive_program
from harness.model import Outcome

if TYPE_CHECKING:
    from harness.driving.trial import Settings, Trial
    from harness.model import Scenario, Target

BUYERS = 20


@dataclass(slots=True)
class Script:
    """Drives the first phase of one scenario like an engine, and has nothing judged but its count."""

    name: str = "script"
    doc: str = __doc__ or ""
    by_default: bool = False
    abreast: int = 1
    accepted: int | None = None
    """How many succeeded; ``None`` until every promise has ended."""

    def crowd(self, settings: Settings) -> int | None:  # noqa: ARG002  # the script has one size
        """Take as many buyers as the script has."""
        return BUYERS

    def refuses(self, scenario: Scenario, target: Target) -> str | None:
        """Drive anything."""

    async def drive(self, trial: Trial) -> None:
        """Send everybody off, wait for all answers, and count the successes."""
        phase = trial.scenario.phases[0]
        patience = Patience(trial.settings.operation_timeout)
        recorder = Recorder()
        async with trial.start(trial.database) as running:
            clients = [await running.connect(program.client) for program in phase.programs]
            sale = await running.open_sale(trial.scenario.tickets)
            try:
                async with asyncio.TaskGroup() as group:
                    for client, program in zip(clients, phase.programs, strict=True):
                        group.create_task(
                            drive_program(
                                client,
                                sale,
                                program,
                                phase=0,
                                recorder=recorder,
                                gate=OpenGate(),
                                patience=patience,
                            )
                        )
            finally:
                for client in clients:
                    client.abandon()
        self.accepted = sum(call.outcome is Outcome.ACCEPTED for call in recorder.calls)
