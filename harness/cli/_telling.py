"""Who listens to a run that was started from the command line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from rich.text import Text

from harness.cli._output import open_console
from harness.model.events import CheckFinished, EvidenceKept, FailureKept, RunFinished
from harness.reporting import REPORTERS, open_listeners, print_report, words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from harness.model import Check, Failure
    from harness.model.events import Event, Listener


@contextlib.contextmanager
def open_telling(folder: Path, chosen: dict[str, Any]) -> Iterator[Listener]:
    """Yield a listener over every reporter, as talkative as ``quiet`` and ``verbose`` say."""
    console = open_console(chosen["color"])
    names = [name for name in REPORTERS.entries if name != "console"] if chosen["quiet"] else None
    failures: dict[str, Failure] = {}
    with open_listeners(folder, console=console, names=names) as listeners:

        def tell(event: Event) -> None:
            listeners(event)
            if chosen["quiet"]:
                _only_the_end(console, event, failures)
            if chosen["verbose"]:
                _details(console, event)

        yield tell


def _only_the_end(console: Console, event: Event, failures: dict[str, Failure]) -> None:
    if isinstance(event, FailureKept):
        failures[event.failure.id] = event.failure
    if isinstance(event, RunFinished):
        print_report(event.report, event.folder, console, failures)


def _details(console: Console, event: Event) -> None:
    match event:
        case CheckFinished():
            line = _numbers(event.check) + words.coverage(event.check)
        case EvidenceKept():
            line = f"run {event.run} broke a law: {event.path}"
        case FailureKept():
            line = f"a schedule that breaks {event.failure.laws[0]} was kept: {event.path}"
        case _:
            return
    console.print(Text(f"    {line}", "dim"), soft_wrap=True)


def _numbers(check: Check) -> str:
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(check.outcomes.items()))
    spread = "" if check.spread_ms is None else f"; released within {check.spread_ms:.2f} ms"
    audited = f"{check.states_audited:,} states and {check.commits_audited:,} commits audited"
    return f"{outcomes or 'no outcome'}; {check.overlapping} at once{spread}; {audited}"
