"""Render a finished run's report again, or say where its page is.

RUN is latest (the default), the name of a run folder, or a path to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli._options import settings
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Failure, Report

_FORMATS = ("console", "html", "markdown", "junit", "json")


@click.command("report", help=__doc__)
@click.argument("run", default="latest")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="console",
    show_default=True,
    help="What to print. html: the path of the page, which is made when it is not there.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
@settings("runs", "color")
def report(run: str, form: str, opens: bool, runs: Path, color: bool | None) -> None:
    """Print the report in the form asked for."""
    from harness.reporting import find_run, read_report

    folder = find_run(runs, run)
    found = read_report(folder)
    if opens or form == "html":
        _show_page(found, folder, opens)
    else:
        _print(found, folder, form, color)


COMMAND = report


def _print(found: Report, folder: Path, form: str, color: bool | None) -> None:
    from harness.cli._output import print_document
    from harness.reporting import ReportConsole, print_report, render_junit, render_markdown, report_to_dict

    if form == "json":
        print_document(report_to_dict(found))
    elif form == "console":
        console = ReportConsole(no_color=color is False or None, force_terminal=color or None)
        print_report(found, folder, console, _failures(found, folder))
    elif form == "markdown":
        click.echo(render_markdown(found, _failures(found, folder)), nl=False)
    else:
        click.echo(render_junit(found), nl=False)


def _failures(found: Report, folder: Path) -> dict[str, Failure]:
    """Return the run's failures that can be read, and say which cannot."""
    from harness.reporting import gather_failures

    failures, troubles = gather_failures(found, folder)
    for trouble in troubles:
        click.echo(trouble, err=True)
    return failures


def _show_page(found: Report, folder: Path, opens: bool) -> None:
    page = _page(found, folder)
    click.echo(page)
    if opens and click.launch(str(page)) != 0:
        click.echo("No browser could be started; open the file above.", err=True)


def _page(found: Report, folder: Path) -> Path:
    from harness.reporting import gather_evidence, render_page
    from harness.reporting.files import write_text
    from harness.reporting.page import PAGE_FILE

    page = folder / PAGE_FILE
    if not page.is_file():
        evidence, troubles = gather_evidence(found, folder)
        for trouble in troubles:
            click.echo(trouble, err=True)
        try:
            write_text(page, render_page(found, evidence, _failures(found, folder)))
        except OSError as error:
            raise UsageError(f"The page cannot be written to {page}: {error.strerror}.") from error
    return page
