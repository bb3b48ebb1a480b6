"""Standard output and the console: what goes where."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from harness.cli._policy import abandon_stdout, say
from harness.reporting import ReportConsole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

_LOG_WIDTH = 120


def open_console(color: bool | None) -> Console:
    """Return the console for people, on standard error.

    :param color: ``None`` leaves it to the terminal and to ``NO_COLOR``.
    """
    return ReportConsole(
        stderr=True,
        no_color=color is False or None,
        force_terminal=color or None,
        # A log has no width of its own, and rich would break its tables for 80 columns.
        width=None if sys.stderr.isatty() or "COLUMNS" in os.environ else _LOG_WIDTH,
    )


@contextlib.contextmanager
def stdout_reserved() -> Iterator[None]:
    """Send to standard error what anybody else writes to standard output, child processes included.

    A target or a scenario that prints must not spoil the document that a program is about to parse.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def print_document(document: Any) -> None:
    """Write a JSON document to standard output. That it cannot be written changes no exit code."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if not _can_be_encoded(text, sys.stdout.encoding):
        text = json.dumps(document, indent=2)
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as error:
        abandon_stdout()
        say(f"the document could not be written to standard output: {error.strerror}.")


def _can_be_encoded(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
