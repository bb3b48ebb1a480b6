"""List what there is to choose from: scenarios, engines, behaviours, laws, specimens, targets, reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli._options import settings
from harness.cli._pages import entries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PACKAGES = {
    "engines": ("engines",),
    "behaviours": ("load", "behaviours"),
    "laws": ("laws",),
    "specimens": ("specimens",),
    "reports": ("reporting", "reporters"),
}
KINDS = ("scenarios", "engines", "behaviours", "laws", "specimens", "targets", "reports")


@click.command("list", help=__doc__)
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS), required=False)
@settings("scenarios", "json")
def list_(kind: str | None, scenarios: Sequence[Path], json: bool) -> None:
    """Print the names of one kind, or of all, each with a line of documentation."""
    found = {each: names_of(each, scenarios) for each in ([kind] if kind else KINDS)}
    if json:
        from harness.cli._output import print_document

        print_document(
            {
                each: [{"name": name, "doc": doc} for name, doc in names.items()]
                for each, names in found.items()
            }
        )
        return
    for number, (each, names) in enumerate(found.items()):
        click.echo(f"{chr(10) * bool(number)}{each}")
        width = max(map(len, names), default=0)
        for name, doc in names.items():
            click.echo(f"  {name:{width}}  {doc}")


COMMAND = list_


def names_of(kind: str, scenarios: Sequence[Path] = ()) -> dict[str, str]:
    """Return what there is of a kind by name, each with its first line of documentation.

    :param scenarios: folders with more scenarios.
    :raises UsageError: when a scenario folder or file cannot be read.
    """
    if kind == "targets":
        from harness.targets import KINDS as TARGETS

        return {kind.usage: kind.title for kind in TARGETS.entries.values()}
    if kind == "scenarios":
        from harness.cli._choices import known_scenarios

        return {name: file.title for name, file in known_scenarios(scenarios).items()}
    return entries(*_PACKAGES[kind])
