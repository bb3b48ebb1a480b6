"""Write a new file to start from: oversell new scenario NAME."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

import click

from harness.cli._options import settings
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TEMPLATE = '''"""{title}: say here, in one sentence, what happens.

This docstring is the scenario's page in the documentation: what is sold, who wants it, and what must
never be seen. Run it with: oversell check --scenario {name}
"""

from harness.model import Cancel, Outcome, Phase, Program, Reserve, Scenario, TicketType


def scenario(buyers: int = 8) -> Scenario:
    """Return the scenario for a crowd of that size.

    Write it as a function of the crowd: a burst uses many buyers, an exhaustive search two or three.
    """
    people = [f"buyer-{{number + 1}}" for number in range(buyers)]
    return Scenario(
        # What can be bought. Stock smaller than the crowd is what makes it a race.
        tickets=(TicketType(name="general", initial=max(1, buyers // 2)),),
        # Phases follow one another; the programs of one phase run at the same time.
        phases=(
            Phase(
                "rush",
                tuple(Program(person, (Reserve(ticket="general", person=person),)) for person in people),
            ),
            # A second phase: the first two change their minds while a newcomer tries again.
            Phase(
                "second thoughts",
                (
                    *(Program(person, (Cancel(ticket="general", person=person),)) for person in people[:2]),
                    Program("newcomer", (Reserve(ticket="general", person="newcomer"),)),
                ),
            ),
        ),
        # Outcomes without which a pass would say nothing: a run that never sees them is inconclusive.
        reaches=frozenset({{Outcome.ACCEPTED, Outcome.SOLD_OUT}}),
        # Only some laws? laws=("no_oversell", "no_leak"). All of them otherwise: oversell list laws
    )
'''
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.command("new", help=__doc__)
@click.argument("kind", metavar="KIND", type=click.Choice(["scenario"]))
@click.argument("name")
@settings("scenarios")
def new(kind: str, name: str, scenarios: Sequence[Path]) -> None:  # noqa: ARG001  # there is one kind so far
    """Write scenarios/NAME.py, a small scenario that runs as it is."""
    from harness.cli._choices import OWN_FOLDER, known_scenarios

    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot name a scenario: lower-case letters, digits and underscores, a letter first, "
            "and no word of Python's own. For example: group_booking."
        )
    folder = scenarios[0] if scenarios else OWN_FOLDER
    path = folder / f"{name}.py"
    taken = known_scenarios([known for known in scenarios if known.is_dir()]).get(name)
    if taken is not None or path.exists():
        raise UsageError(f"A scenario of that name is already in {taken.path if taken else path}.")
    _write(path, _TEMPLATE.format(name=name, title=name.replace("_", " ").capitalize()))
    click.echo(f"{path} written. Run it: oversell check --scenario {name}{_where(scenarios)}")


COMMAND = new


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def _where(scenarios: Sequence[Path]) -> str:
    return f" --scenarios {scenarios[0]}" if scenarios else ""
