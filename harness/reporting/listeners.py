"""All reporters of a run as one listener, each of them free to fail without touching the others.

The rules: every reporter gets every event, in catalogue order. One that raises is said once, in one line,
its traceback goes to ``internal.log`` in the run folder, and it hears no more. Reporters that cannot write
for the same reason (a full disk) share one line. Nothing a reporter does reaches the engine.
"""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING

from rich.text import Text

from harness.catalogue import Catalogue
from harness.reporting.reporter import Listening, Reporter, Setting
from harness.reporting.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from harness.model.events import Event

REPORTERS: Catalogue[Reporter] = Catalogue("reporter", "harness.reporting.reporters", "REPORTER")
INTERNAL_LOG = "internal.log"

# SystemExit too: libraries raise it when a pipe breaks, and its exit code would read as a verdict.
_FAILURES = (Exception, SystemExit)


def open_listeners(folder: Path, *, console: Console, names: Iterable[str] | None = None) -> Listeners:
    """Return one listener over the named reporters (all of them, when none is named).

    Use it as a context manager, so that the terminal and files are let go of however the run ends.

    :param folder: the run folder; it must exist.
    :param console: for people, on standard error.
    :raises UsageError: when there is no reporter of such a name.
    """
    chosen = REPORTERS.entries if names is None else {name: REPORTERS.get(name) for name in names}
    return Listeners(chosen.values(), Setting(folder, console))


class Listeners:
    """A listener that passes each event on to the reporters at work."""

    def __init__(self, reporters: Iterable[Reporter], setting: Setting) -> None:
        self._setting = setting
        self._said: set[object] = set()
        self._working: dict[str, Listening] = {}
        for reporter in reporters:
            try:
                self._working[reporter.name] = reporter.open(setting)
            except _FAILURES as error:
                self._say(reporter.name, error)

    def __enter__(self) -> Self:
        """Return the listener itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every reporter; whatever ended the run goes on its way."""
        self.close()

    def __call__(self, event: Event) -> None:
        """Pass the event to every reporter that has not failed yet."""
        for name, listening in list(self._working.items()):
            try:
                listening(event)
            except _FAILURES as failure:
                self._drop(name, failure)

    def close(self) -> None:
        """Close every reporter."""
        for name, listening in list(self._working.items()):
            del self._working[name]
            self._close(name, listening)

    def _drop(self, name: str, error: BaseException) -> None:
        listening = self._working.pop(name)
        self._say(name, error)
        # It has failed already and that was said; a second failure on the way out adds nothing.
        with contextlib.suppress(*_FAILURES):
            listening.close()

    def _close(self, name: str, listening: Listening) -> None:
        try:
            listening.close()
        except _FAILURES as error:
            self._say(name, error)

    def _say(self, name: str, error: BaseException) -> None:
        line, key = _explain(name, error, self._setting.folder)
        self._log(line, error)
        if key not in self._said:
            self._said.add(key)
            # The console may be what failed.
            with contextlib.suppress(*_FAILURES):
                self._setting.console.print(Text(one_line(line), style="yellow"), soft_wrap=True)

    def _log(self, line: str, error: BaseException) -> None:
        # The disk may be what failed.
        with (
            contextlib.suppress(*_FAILURES),
            (self._setting.folder / INTERNAL_LOG).open("a", encoding="utf-8", errors="replace") as log,
        ):
            log.write("".join([f"{line}\n", *traceback.format_exception(error)]))


def _explain(name: str, error: BaseException, folder: Path) -> tuple[str, object]:
    if isinstance(error, OSError) and error.errno is not None:
        where = str(error.filename or folder)
        place = str(folder) if where.startswith(str(folder)) else where
        line = (
            f"Reports cannot be written in {place}: {error.strerror} (first met by {name!r})."
            " The verdict is not affected."
        )
        return line, (error.errno, place)
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    line = f"The reporter {name!r} failed and was left out: {what}. The verdict is not affected."
    return line, name
