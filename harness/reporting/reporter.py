"""What a reporter is: a name, and a way to make the thing that listens to one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.model.events import Event, RunFinished
from harness.reporting.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from harness.model import Report


@dataclass(frozen=True, slots=True)
class Setting:
    """What a reporter is given to work with."""

    folder: Path
    """The run folder; it exists."""
    console: Console
    """For people, on standard error: standard output belongs to ``--json``."""


class Listening(Protocol):
    """A reporter at work on one run."""

    def __call__(self, event: Event) -> None:
        """Take notice of an event. Whatever this raises is said once, and the reporter hears no more."""

    def close(self) -> None:
        """Let go of files and the terminal; called once, however the run ended."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """An entry of the catalogue; the docstring of its module is its documentation."""

    name: str
    open: Callable[[Setting], Listening]


class WrittenAtEnd:
    """A reporter that writes one file when the run has finished."""

    def __init__(self, path: Path, render: Callable[[Report], str]) -> None:
        self._path = path
        self._render = render

    def __call__(self, event: Event) -> None:
        """Write the file at the last event."""
        if isinstance(event, RunFinished):
            write_text(self._path, self._render(event.report))

    def close(self) -> None:
        """Nothing is held open."""
