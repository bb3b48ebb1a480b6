"""Say what this machine has to run on, and what --database would choose.

Exit code 0 when it leads to a Postgres, 2 when there is nothing to run on.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from harness.cli._loop import run_async
from harness.cli._options import settings
from harness.model.verdict import USAGE_EXIT_CODE

if TYPE_CHECKING:
    from harness.postgres.diagnosis import Diagnosis

_LOG_WIDTH = 120
_MARKS = {"good": "[green]✓[/]", "missing": "[red]✗[/]", "note": "[yellow]•[/]"}


@click.command("doctor", help=__doc__)
@settings("database", "image", "json")
def doctor(database: str, image: str | None, json: bool) -> int:
    """Look at the machine, print what was found, and exit with 0 or 2."""
    from harness.postgres.diagnosis import examine

    diagnosis = run_async(examine(database, image))
    if json:
        from harness.cli._output import print_document

        print_document(asdict(diagnosis))
    else:
        _print(diagnosis, database)
    return 0 if diagnosis.usable else USAGE_EXIT_CODE


COMMAND = doctor


def _print(diagnosis: Diagnosis, database: str) -> None:
    """Write the table, and below it what follows."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from harness.postgres import redact

    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in diagnosis.findings:
        table.add_row(_MARKS[finding.state], finding.name, escape(finding.detail))
    # A log has no width of its own, and rich would break the table for 80 columns.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
    console.print(table)
    console.print(
        f"\n--database {escape(redact(database))} means: {escape(diagnosis.choice)}", soft_wrap=True
    )
