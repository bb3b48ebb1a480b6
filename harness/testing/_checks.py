"""The checks of all gates in one process: one at a time, on servers that stay until the end of the session.

Every gate has a run folder of its own with the reports that ``oversell check`` writes, so that
``oversell replay`` and ``oversell report`` find them. What cannot be had, such as a database, is tried once
and then refused to every test that needs it.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.cli._gate import discard, run_folder
from harness.cli._ledger import Ledger
from harness.cli.check import plan
from harness.driving.checking import check
from harness.driving.runner import copies, possible
from harness.driving.tally import THE_QUESTION
from harness.errors import InconclusiveError, UsageError
from harness.model import Report, Verdict
from harness.model.events import CheckSkipped, FailureKept, Noticed, RunStarted
from harness.model.verdict import combine
from harness.postgres import provision
from harness.reporting import REPORTERS, ReportConsole, open_listeners, print_report, words
from harness.testing._asking import own_target, settings_of
from harness.testing._background import Background

if TYPE_CHECKING:
    from pathlib import Path

    from harness.driving.runner import Copies, Plan
    from harness.driving.trial import Engine
    from harness.model import Check, Failure, NotRun, Scenario
    from harness.model.events import Event
    from harness.postgres import Server
    from harness.reporting import Listeners
    from harness.testing import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one test of a gate came to."""

    skipped: str = ""
    """Why the target cannot be driven like that; empty when it was."""
    failure: str = ""
    """The report of a check that is not safe: its first line says why, the others show it."""
    summary: str = ""
    """The check in one line."""
    properties: tuple[tuple[str, object], ...] = ()
    """Its numbers, for JUnit."""


class Checks:
    """See the module."""

    def __init__(self) -> None:
        self._background = Background()
        self._servers: dict[tuple[str, str | None, bool], Server] = {}
        self._sittings: dict[int, _Sitting | UsageError] = {}

    def check(self, gate: Gate, scenario: str, engine: str, *, ahead: int = 1) -> Outcome:
        """Make one check and say what it came to.

        :param ahead: among how many checks of the gate, this one included, its time has still to be shared.
        :raises UsageError: when there is no database as asked for, or no such target.
        """
        try:
            return self._background.run(self._check(gate, scenario, engine, ahead))
        except InconclusiveError as error:
            return Outcome(failure=f"inconclusive: {error}")

    def close(self, *reasons: str) -> None:
        """Finish the reports and stop the servers.

        :param reasons: why the session was cut off, if it was.
        """
        for sitting in self._sittings.values():
            if isinstance(sitting, _Sitting):
                sitting.close(*reasons)
        self._background.close()

    async def _check(self, gate: Gate, scenario: str, engine: str, ahead: int) -> Outcome:
        known = self._sittings.get(id(gate))
        if known is None:
            try:
                known = await self._open(gate)
            except UsageError as error:
                known = error
            self._sittings[id(gate)] = known
        if isinstance(known, UsageError):
            raise known
        return await known.check(scenario, engine, ahead)

    async def _open(self, gate: Gate) -> _Sitting:
        chosen = settings_of(gate)
        sitting = _sitting(_plan(gate, chosen), run_folder(chosen["runs"]))
        try:
            await sitting.begin(await self._server(sitting))
        except UsageError:
            sitting.listeners.close()
            discard(sitting.folder)
            raise
        except InconclusiveError as error:
            sitting.trouble = str(error)
        return sitting

    async def _server(self, sitting: _Sitting) -> Server:
        """Return the server that a plan asks for; it is brought up for the first of them."""
        plan = sitting.plan
        key = (plan.database, plan.image, plan.disposable)
        if key not in self._servers:
            self._servers[key] = await self._background.stack.enter_async_context(
                provision(
                    plan.database,
                    image=plan.image,
                    disposable=plan.disposable,
                    notice=lambda message: sitting.hear(Noticed(message=message)),
                )
            )
        return self._servers[key]


@dataclass(slots=True, kw_only=True)
class _Sitting:
    """One gate in this process."""

    plan: Plan
    folder: Path
    listeners: Listeners
    ledger: Ledger
    trouble: str = ""
    """Why nothing more can be judged."""
    _server: Server | None = None
    _copies: Copies | None = None
    _failures: dict[str, Failure] = field(default_factory=dict)

    async def begin(self, server: Server) -> None:
        """Load the target's schema.

        :raises InconclusiveError: when the target fails at that.
        """
        self._server = server
        every = ((file.name, engine.name) for file in self.plan.scenarios for engine in self.plan.engines)
        self.hear(
            RunStarted(
                target=self.plan.target_name,
                database=server.description,
                seed=self.plan.settings.seed,
                folder=self.folder,
                checks=tuple(every),
            )
        )
        self._copies = await copies(server, self.plan)

    async def check(self, scenario_name: str, engine_name: str, ahead: int) -> Outcome:
        """Make one check.

        :raises InconclusiveError: when nothing more can be judged here.
        """
        file = next(file for file in self.plan.scenarios if file.name == scenario_name)
        scenario, engine, not_run = next(
            each for each in possible(self.plan, file) if each[1].name == engine_name
        )
        if not_run is not None:
            return self._skip(not_run)
        if self.trouble or self._server is None or self._copies is None:
            raise InconclusiveError(self.trouble)
        done = await self._made(self._copies, scenario, engine, ahead)
        if not await self._server.alive():
            self.trouble = "Postgres went away"
        return self._outcome(done)

    def hear(self, event: Event) -> None:
        """Keep what the tests are told, and pass every event on to the reporters."""
        if isinstance(event, FailureKept):
            self._failures[event.failure.id] = event.failure
        self.ledger(event)

    def close(self, *reasons: str) -> None:
        """Finish the reports."""
        self.ledger.settle(*reasons, *([self.trouble] if self.trouble else []))
        self.listeners.close()

    async def _made(self, make_copy: Copies, scenario: Scenario, engine: Engine, ahead: int) -> Check:
        """Make one check in what is left of the time for all."""
        left = self.plan.max_time - sum(check.seconds for check in self.ledger.checks)
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await check(
                    self.plan.subject(self.folder, left, ahead),
                    scenario,
                    engine,
                    database=make_copy(f"{scenario.name}_{engine.name}"),
                    listen=self.hear,
                )
        except TimeoutError:
            if not limit.expired():
                raise
            done = self.ledger.checks[-1]
            used_up = f"the time budget of {self.plan.max_time:g} s was used up (max-time)"
            return replace(done, reasons=(*done.reasons, used_up)) if done.reasons else done

    def _skip(self, not_run: NotRun) -> Outcome:
        self.hear(CheckSkipped(not_run=not_run))
        if not_run.asked_for:
            return Outcome(failure=f"inconclusive: it was asked for by name, and not run: {not_run.reason}")
        return Outcome(skipped=not_run.reason)

    def _outcome(self, done: Check) -> Outcome:
        explored = words.exploration(done)
        numbers = {
            "verdict": done.verdict.value,
            "seed": self.plan.settings.seed,
            "runs": done.runs,
            "hits": done.hits,
            "schedules": done.schedules,
            "exhausted": done.exhausted,
        }
        return Outcome(
            failure="" if done.verdict is Verdict.SAFE else f"{_why(done)}\n{self._report(done)}",
            summary=f"{done.verdict}: {words.counted(done.runs, 'run')}{explored and f'; {explored}'}",
            properties=tuple(
                (f"oversell_{name}", value) for name, value in numbers.items() if value is not None
            ),
        )

    def _report(self, done: Check) -> str:
        """Return the report that the command prints, on this one check."""
        verdict, reasons = combine([done], (), ())
        report = Report(
            verdict=verdict,
            reasons=reasons,
            target=self.plan.target_name,
            database=self._server.description if self._server else "",
            seed=self.plan.settings.seed,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=done.seconds,
            checks=(done,),
        )
        text = io.StringIO()
        print_report(report, self.folder, ReportConsole(file=text, no_color=True), self._failures)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).rstrip()


def _plan(gate: Gate, chosen: dict[str, Any]) -> Plan:
    """Return what to drive and how."""
    if isinstance(gate.target, str | None):
        return plan(chosen)
    spec, target = own_target(gate)
    return replace(plan({**chosen, "target": "sql"}), target=target, spec=spec)


def _sitting(plan: Plan, folder: Path) -> _Sitting:
    names = [name for name in REPORTERS.entries if name != "console"]
    listeners = open_listeners(folder, console=ReportConsole(stderr=True), names=names)
    ledger = Ledger(listeners, folder=folder, target=plan.target_name, seed=plan.settings.seed)
    return _Sitting(plan=plan, folder=folder, listeners=listeners, ledger=ledger)


def _why(done: Check) -> str:
    """Return in one line why a check is not safe."""
    if done.violations:
        first = min(done.violations, key=lambda violation: violation.law != THE_QUESTION)
        return f"violated: {first.law}: {first.message}"
    return f"inconclusive: {'; '.join(done.reasons)}"
