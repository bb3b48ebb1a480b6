"""What is known of a run while it is under way, so that one that is cut off is still reported."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from harness.model import Report
from harness.model.events import CheckFinished, CheckSkipped, RunFinished, RunStarted
from harness.model.verdict import combine

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Check, NotRun
    from harness.model.events import Event, Listener


class Ledger:
    """Passes every event on, and keeps what a report is made of."""

    def __init__(self, listen: Listener, *, folder: Path, target: str, seed: int) -> None:
        self._listen = listen
        self._folder = folder
        self._target = target
        self._seed = seed
        self._database = "none yet"
        self._started = datetime.now(UTC)
        self._begun = time.monotonic()
        self.checks: list[Check] = []
        """Those that have ended."""
        self._not_run: list[NotRun] = []
        self.report: Report | None = None
        """The report, once the run has ended."""

    def __call__(self, event: Event) -> None:
        """Keep what matters of the event, and pass it on."""
        match event:
            case RunStarted():
                self._database = event.database
            case CheckFinished():
                self.checks.append(event.check)
            case CheckSkipped():
                self._not_run.append(event.not_run)
            case RunFinished():
                self.report = event.report
        self._listen(event)

    def settle(self, *reasons: str) -> Report:
        """Return the report; when nobody has made one, make it of what is known, and announce it now.

        :param reasons: why the run was cut off, if it was.
        """
        if self.report is None:
            self(RunFinished(report=self._made_up(reasons), folder=self._folder))
        assert self.report is not None  # noqa: S101  # set by the line above
        return self.report

    def _made_up(self, troubles: tuple[str, ...]) -> Report:
        verdict, reasons = combine(self.checks, self._not_run, troubles)
        return Report(
            verdict=verdict,
            reasons=reasons,
            target=self._target,
            database=self._database,
            seed=self._seed,
            started=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._begun, 3),
            checks=tuple(self.checks),
            not_run=tuple(self._not_run),
        )
