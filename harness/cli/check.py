"""Judge a target: scenarios x engines on a disposable Postgres, one verdict.

The exit code is the verdict: 0 safe, 1 violated, 3 inconclusive. Everything the run leaves is in its run
folder, .oversell/runs/latest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli._gate import DRAWING, EXPLORING, OUTPUT, PLACE, SUBJECT, TIMES, plan_of, run_gate
from harness.cli._options import settings
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.cli._policy import Session
    from harness.driving.runner import Plan

_BESIDE_OTHERS = 0.5
"""Share of the time for a night of drawing, where other engines want theirs."""


@click.command("check", help=__doc__)
@settings(*SUBJECT, "engine", *PLACE, "rounds", *EXPLORING, *DRAWING, *TIMES, *OUTPUT)
@click.option(
    "--reproduce",
    metavar="DECORATOR",
    help="Draw one example only, as the decorator says that came with a failure of the stateful engine.",
)
@click.pass_obj
def check(session: Session, /, **chosen: Any) -> int:
    """Run the gate and return the verdict's exit code."""
    return run_gate(session, chosen, lambda: plan(chosen))


COMMAND = check


def plan(chosen: dict[str, Any]) -> Plan:
    """Return what these settings of the command come to; gates in a test suite are made of them too.

    :raises UsageError: when a scenario, engine, law or target is named that does not exist, or examples are
        to be kept where nothing can be.
    """
    from harness.driving.runner import BESIDES

    made = plan_of(
        chosen,
        engines=["stateful"] if chosen["reproduce"] else chosen["engine"],
        rounds=chosen["rounds"],
        schedules=chosen["max_schedules"],
        profile=chosen["profile"],
        examples=chosen["examples"] or chosen["runs"].parent / "examples",
        reproduce=_reproduction(chosen) if chosen["reproduce"] else None,
    )
    if made.settings.profile == "gate":
        return made
    _make_folder(made.settings.examples)
    share = 1.0 if len(made.engines) == 1 else _BESIDE_OTHERS
    each = chosen["max_time"] * share / len(made.scenarios)
    return replace(
        made,
        settings=replace(made.settings, stateful_time=each),
        max_time=chosen["max_time"] + BESIDES,
    )


def _make_folder(examples: Path | None) -> None:
    """Make the folder of examples here: Hypothesis says nothing where it cannot write, and keeps nothing.

    :raises UsageError: when there can be no such folder.
    """
    try:
        if examples is not None:
            examples.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"No examples can be kept in {examples}: {error.strerror}. Name another folder with --examples."
        ) from None


def _reproduction(chosen: dict[str, Any]) -> tuple[str, bytes]:
    """Return what is to be drawn again.

    :raises UsageError: when it is no such decorator, comes from another version, or fits several scenarios.
    """
    from harness.drawing.profiles import reproduction

    if len(chosen["scenario"]) != 1 or set(chosen["engine"]) - {"stateful"}:
        raise UsageError(
            "An example is drawn again for the scenario it was drawn for, by the stateful engine. "
            "Name the one scenario with --scenario, and no other engine."
        )
    return reproduction(chosen["reproduce"])
