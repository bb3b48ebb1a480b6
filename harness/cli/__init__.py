"""The command line: one command per file, found by looking (see ``docs/architecture.md``).

A public module of this package is a command: it defines ``COMMAND``, a :class:`click.Command` of the
module's name, and the first line of its docstring is what ``oversell --help`` says of it. A module is
imported only when its command is called.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from harness.cli._commands import PROGRAM
from harness.cli._policy import Session, guard

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 safe, 1 violated, 2 usage, 3 inconclusive, 4 internal.

    :param argv: the words after ``oversell``; those of the process when left out.
    """
    session = Session()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a letter must not change an exit code.
        sys.stdout.reconfigure(errors="backslashreplace")
    return guard(lambda: PROGRAM.run(argv, session), session)
